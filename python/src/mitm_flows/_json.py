"""A flow as an object of JSON, with the members of docs/json-lines.md and bodies in base64."""

from __future__ import annotations

import base64
import datetime
from typing import Any

from ._flow import Connection, Cut, Flow, Lost, Message, Piece, Side

JSON = dict[str, Any]
PLACES = ["connection", "request", "request.body", "response", "response.body", "messages"]
REASONS = ["rule", "undecodable", "unparsed", "too-large"]
SIDES: list[Side] = ["client", "server"]


def milliseconds(nanoseconds: int) -> float:
    return nanoseconds / 1e6


def rfc3339(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + "%09dZ" % rest


def text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def fields(data: bytes) -> list[list[str]]:
    """Field lines as [name, value] pairs; a folded line continues the preceding value."""
    pairs: list[list[bytes]] = []
    for whole in data.split(b"\n"):
        line = whole[:-1] if whole.endswith(b"\r") else whole
        if not line:
            break
        if line[:1] in b" \t":
            if pairs:
                pairs[-1][1] += b"\r\n" + whole.rstrip(b" \t\r\n") if whole.endswith(b"\r") else b"\n" + whole.rstrip(b" \t")
            continue
        # The colon of a pseudo-field's name does not end it.
        name, _, value = line[1:].partition(b":")
        pairs.append([line[:1] + name, value.strip(b" \t\r\n")])
    return [[text(name), text(value)] for name, value in pairs]


def head_parts(half: Message) -> tuple[bytes | dict[str, str], list[list[str]]]:
    """The start-line, for HTTP/2 the pseudo-fields by name; and the field lines."""
    if half.version[0] >= 2:
        pairs = fields(half.head)
        pseudo = {name: value for name, value in pairs if name.startswith(":")}
        return pseudo, [pair for pair in pairs if not pair[0].startswith(":")]
    line, _, rest = half.head.lstrip(b"\r\n").partition(b"\n")
    return line.rstrip(b"\r"), fields(rest)


def version_name(version: tuple[int, int]) -> str:
    return "HTTP/%d" % version[0] if version[0] >= 2 else "HTTP/%d.%d" % version


def cut_json(cut: Cut) -> JSON:
    return {"size": cut.size} if cut.sha256 is None else {"size": cut.size, "sha256": cut.sha256}


def shown(piece: Piece) -> JSON:
    """A message's size and content; a mark where the content is damaged."""
    if isinstance(piece.data, Lost):
        return {"size": len(piece.data), "damaged": True}
    out: JSON = {"size": piece.size}
    if piece.size != len(piece.data):
        out["stored"] = len(piece.data)
    out["base64"] = base64_text(piece.data)
    if piece.cut:
        out["truncated"] = cut_json(piece.cut)
    return out


def body(flow: Flow, side: Side, half: Message, pairs: list[list[str]]) -> JSON:
    pieces = [piece for piece in flow.pieces if piece.kind == "data" and piece.side == side]
    kept, cut = sum(len(piece.data) for piece in pieces), flow.cuts.get(side)
    stored = [piece.data for piece in pieces if not isinstance(piece.data, Lost)]
    if len(stored) < len(pieces):
        return {"size": half.size, "stored": kept, "complete": False, "damaged": True}
    is_decoded = flow.decoded & (1 if side == "client" else 2) != 0
    is_complete = half.ended is not None and not cut and (is_decoded or kept == half.size)
    out: JSON = {"size": half.size, "stored": kept, "complete": is_complete}
    if is_decoded:
        out["stored_decoded"] = True
    out["base64"] = base64_text(b"".join(stored))
    if cut:
        out["truncated"] = cut_json(cut)
    if next((value for name, value in pairs if name.lower() == "content-type"), "").lower().startswith("text/event-stream"):
        out["chunks"] = [{"at": rfc3339(piece.at), "size": piece.size} for piece in pieces]
    return out


def host_name(value: str) -> str:
    if value.startswith("["):
        return value[1:].partition("]")[0]
    return value.partition(":")[0]


def is_address(host: str) -> bool:
    return ":" in host or all(character in "0123456789." for character in host)


def field_value(pairs: list[list[str]], wanted: str) -> str | None:
    return next((value for name, value in pairs if name.lower() == wanted), None)


def request_line(half: Message) -> tuple[str, str, str | None]:
    """Method and target of a request; its authority, if a pseudo-field or a Host field has it."""
    start, pairs = head_parts(half)
    host = field_value(pairs, "host")
    if isinstance(start, dict):
        return start.get(":method", ""), start.get(":path", ""), start.get(":authority", host)
    words = [word for word in text(start).split(" ") if word] + ["", ""]
    return words[0], words[1], host


def url(flow: Flow, half: Message) -> str:
    method, target, authority = request_line(half)
    if method == "CONNECT" and not target:
        return authority or ""
    if not target.startswith(("/", "*")) or method == "CONNECT":
        return target
    name, named = flow.host, host_name(authority or "")
    if (not name or is_address(name)) and named and not is_address(named):
        name = named
    default = 443 if flow.scheme.lower() == "https" else 80
    port = "" if flow.port in (default, 0) else ":%d" % flow.port
    return "%s://%s%s%s" % (flow.scheme, "[%s]" % name if ":" in name else name, port, target)


def request(flow: Flow, half: Message) -> JSON:
    method, target, authority = request_line(half)
    pairs = head_parts(half)[1]
    out: JSON = {"method": method, "scheme": flow.scheme}
    if authority is not None:
        out["authority"] = authority
    path = target
    if target[:1] not in ("/", "*", "") and method != "CONNECT":
        parts = target.split("/", 3)
        path = "/" + parts[3] if len(parts) > 3 else "/"
    out.update(path=path, url=url(flow, half), version=version_name(half.version), stream_id=flow.stream)
    out["headers"] = pairs
    if half.trailers is not None:
        out["trailers"] = fields(half.trailers)
    if (half.size > 0 or half.ended is None) and flow.status != 101:
        out["body"] = body(flow, "client", half, pairs)
    out["started"] = rfc3339(half.started)
    if half.ended is not None:
        out["ended"] = rfc3339(half.ended)
    return out


def status_line(half: Message) -> tuple[int, str, list[list[str]]]:
    """Status, reason and fields of a response."""
    start, pairs = head_parts(half)
    if isinstance(start, dict):
        status = start.get(":status", "0")
        return int(status) if status.isascii() and status.isdigit() else 0, "", pairs
    words = text(start).split(" ", 2)
    status = words[1] if len(words) > 1 else ""
    return int(status) if status.isascii() and status.isdigit() else 0, words[2] if len(words) > 2 else "", pairs


def response(flow: Flow, half: Message) -> JSON:
    status, reason, pairs = status_line(half)
    out: JSON = {"status": status, "reason": reason, "version": version_name(half.version), "headers": pairs}
    if half.trailers is not None:
        out["trailers"] = fields(half.trailers)
    if (half.size > 0 or half.ended is None) and status != 101:
        out["body"] = body(flow, "server", half, pairs)
    out["started"] = rfc3339(half.started)
    if half.ended is not None:
        out["ended"] = rfc3339(half.ended)
    if flow.request:
        ended = flow.request.ended
        since = min(ended, half.started) if ended is not None else flow.request.started
        out["ttfb_ms"] = milliseconds(half.started - since)
    return out


def local_reply(half: Message, content: bytes) -> JSON:
    status, reason, pairs = status_line(half)
    out: JSON = {"at": rfc3339(half.started), "status": status, "reason": reason, "version": version_name(half.version), "headers": pairs}
    out.update(size=len(content), base64=base64_text(content))
    return out


def notes(flow: Flow) -> list[JSON]:
    out = []
    for at, side, message in flow.notes:
        one: JSON = {"at": rfc3339(at)}
        if side:
            one["side"] = SIDES[side - 1]
        one["message"] = text(message)
        out.append(one)
    return out


def redacted(flow: Flow) -> list[JSON]:
    out = []
    for (rule, place, reason), count in sorted(flow.redacted.items(), key=lambda item: item[0][2] is not None):
        if place >= len(PLACES) or (reason is not None and reason >= len(REASONS)):
            continue
        entry: JSON = {"rule": rule, "in": PLACES[place], "count": count}
        if reason is not None:
            entry["not_stored"] = REASONS[reason]
        out.append(entry)
    return out


def websocket(flow: Flow) -> JSON:
    messages, close = [], None
    for piece in flow.pieces:
        if piece.kind == "data":
            continue
        one: JSON = {"at": rfc3339(piece.at), "from": piece.side, "opcode": piece.kind} | shown(piece)
        messages.append(one)
        data = piece.data
        if isinstance(data, Lost):
            continue
        if piece.wire != piece.size:
            one["compressed_size"] = piece.wire
        if piece.kind == "close" and close is None and len(data) >= 2:
            close = {"code": data[0] << 8 | data[1], "reason": text(data[2:]), "by": piece.side}
    return {"messages": messages, "close": close} if close else {"messages": messages}


def tcp(flow: Flow) -> JSON:
    out: JSON = {"messages": [{"at": rfc3339(piece.at), "from": piece.side} | shown(piece) for piece in flow.pieces]}
    if flow.cuts:
        out["truncated"] = [{"from": side} | cut_json(flow.cuts[side]) for side in SIDES if side in flow.cuts]
    if flow.closed_by:
        out.update(closed_by=flow.closed_by, how="reset" if flow.reset else "fin")
    return out


def error(flow: Flow) -> dict[str, str] | None:
    """The message of a flow's error, and the side that caused it."""
    if flow.torn:
        return {"message": "a part of this flow's recording was lost"}
    if flow.before and not flow.stored_error:
        sizes = "%d bytes from the client, %d from the server" % flow.before
        return {"message": "the beginning of this flow is in an earlier file of the recording (%s)" % sizes}
    return flow.stored_error


def connection(found: Connection) -> JSON:
    out: JSON = {"id": found.id}
    if found.address:
        out["address"] = found.address
    if found.tls:
        out["tls"] = found.tls
    if found.settings is not None:
        out["settings"] = found.settings
    return out


def flow_json(flow: Flow) -> JSON:
    out: JSON = {"id": flow.id, "kind": flow.kind, "state": flow.state, "started": rfc3339(flow.started)}
    if flow.ended is not None:
        out.update(ended=rfc3339(flow.ended), duration_ms=milliseconds(flow.ended - flow.started))
    if found := error(flow):
        out["error"] = found
    if flow.client and flow.client.host:
        out["mode"] = flow.client.mode
        out["client"] = connection(flow.client)
    out["server"] = {"host": flow.host, "port": flow.port} | (connection(flow.server) if flow.server else {})
    if flow.request:
        out["request"] = request(flow, flow.request)
    if flow.interims:
        lines = [(half, status_line(half)) for half in flow.interims]
        out["informational"] = [{"at": rfc3339(half.started), "status": status, "headers": pairs} for half, (status, _, pairs) in lines]
    if flow.response:
        out["response"] = response(flow, flow.response)
    if flow.local_reply:
        out["local_reply"] = local_reply(*flow.local_reply)
    if flow.is_websocket:
        out["websocket"] = websocket(flow)
    if flow.kind == "tcp" or (flow.status == 101 and not flow.is_websocket):
        out["tcp"] = tcp(flow)
    if flow.passthrough:
        out["passthrough"] = {"bytes_from_client": flow.passthrough[0], "bytes_from_server": flow.passthrough[1]}
    if flow.malformed:
        out["malformed"] = [
            {"at": rfc3339(at), "from": side, "size": len(data), "base64": base64_text(data)} for at, side, data in flow.malformed
        ]
    if flow.notes:
        out["notes"] = notes(flow)
    if flow.redacted or flow.decoded:
        out["redacted"] = redacted(flow)
    if flow.tags:
        out["tags"] = flow.tags
    if flow.comment is not None:
        out["comment"] = flow.comment
    return out
