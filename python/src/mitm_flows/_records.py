"""Records and details of a block: "Records" and "Details" of docs/flow-file-format.md."""

from __future__ import annotations

import struct
from typing import Any, Protocol

from ._errors import Damaged
from ._flow import Connection, Cut, Flow, Lost, Message, Piece, Side

KINDS = ["http", "tcp", "tls"]
STATES = ["complete", "incomplete", "failed"]
PIECES = ["data", "text", "binary", "ping", "pong", "close"]
SIDES: list[Side] = ["client", "server"]
SETTINGS = {
    1: "HEADER_TABLE_SIZE",
    2: "ENABLE_PUSH",
    3: "MAX_CONCURRENT_STREAMS",
    4: "INITIAL_WINDOW_SIZE",
    5: "MAX_FRAME_SIZE",
    6: "MAX_HEADER_LIST_SIZE",
    8: "ENABLE_CONNECT_PROTOCOL",
    9: "NO_RFC7540_PRIORITIES",
}


class Cursor:
    """Reads one value after the other; raises Damaged when the bytes end."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0

    def is_at_end(self) -> bool:
        return self.position >= len(self.data)

    def take(self, count: int) -> bytes:
        start = self.position
        if start + count > len(self.data):
            raise Damaged("a record ends too early")
        self.position = start + count
        return self.data[start : self.position]

    def byte(self) -> int:
        if self.position >= len(self.data):
            raise Damaged("a record ends too early")
        self.position += 1
        return self.data[self.position - 1]

    def number(self, form: str) -> int:
        value: int = struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]
        return value

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise Damaged("a number has more than 64 bits")

    def zigzag(self) -> int:
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def sized(self) -> bytes:
        return self.take(self.varint())

    def text(self) -> str:
        return self.sized().decode("utf-8", "replace")

    def optional(self) -> str | None:
        count = self.varint()
        return None if count == 0 else self.take(count - 1).decode("utf-8", "replace")


def named(names: list[Any], index: int, what: str) -> Any:
    if index >= len(names):
        raise Damaged("%s has the unknown number %d" % (what, index))
    return names[index]


def identity(data: bytes) -> str:
    text = "%016x%016x" % struct.unpack("<QQ", data)
    return "-".join([text[:8], text[8:12], text[12:16], text[16:20], text[20:]])


def endpoint(cursor: Cursor) -> tuple[str, int]:
    port = cursor.number("H")
    return cursor.text(), port


def address(host: str, port: int) -> str:
    return "[%s]:%d" % (host, port) if ":" in host else "%s:%d" % (host, port)


def tls(cursor: Cursor) -> dict[str, Any] | None:
    bits = cursor.byte()
    if not bits & 1:
        return None
    started = cursor.number("q") if bits & 16 else None
    ended = cursor.number("q") if bits & 32 else None
    names = ["version", "cipher", "sni", "alpn", "ja3", "ja4", "verification_error"]
    found: dict[str, Any] = {name: cursor.optional() for name in names}
    out = {name: found[name] for name in names if found[name] is not None}
    if bits & 2:
        out["resumed"] = True
    if bits & 4:
        out["verified"] = bits & 8 != 0
    if started is not None and ended is not None:
        out["handshake_ms"] = (ended - started) / 1e6
    for _ in range(cursor.varint()):
        cursor.text()
    for _ in range(cursor.varint()):
        cursor.varint()
    return out


def settings(cursor: Cursor) -> list[dict[str, Any]] | None:
    if cursor.is_at_end():
        return None
    count = cursor.varint()
    if count == 0:
        return None
    received = []
    for _ in range(count - 1):
        one: dict[str, Any] = {"id": cursor.varint()}
        if one["id"] in SETTINGS:
            one["name"] = SETTINGS[one["id"]]
        one["value"] = cursor.varint()
        received.append(one)
    return received


def client_connection(data: bytes) -> Connection:
    cursor = Cursor(data)
    name = identity(cursor.take(16))
    cursor.number("q")
    host, port = endpoint(cursor)
    endpoint(cursor)
    return Connection(name, host, address(host, port), cursor.text(), tls(cursor), settings(cursor))


def server_connection(data: bytes) -> Connection:
    cursor = Cursor(data)
    name = identity(cursor.take(16))
    cursor.number("q")
    host, _ = endpoint(cursor)
    bits = cursor.byte()
    peer = address(*endpoint(cursor)) if bits & 1 else None
    if bits & 2:
        endpoint(cursor)
    if bits & 4:
        cursor.number("q")
    return Connection(name, host, peer, None, tls(cursor), settings(cursor))


def cut_of(cursor: Cursor) -> Cut:
    size = cursor.varint()
    digest = cursor.take(cursor.byte())
    return Cut(size, digest.hex() if digest else None)


class FlowRecord:
    """The prefix of a flow's record, or of a part of it, and its texts."""

    __slots__ = (
        "flags", "kind", "id", "started", "port", "part", "client", "server", "stream",
        "details_at", "details", "content_at", "content", "scheme", "host", "error", "comment",
    )  # fmt: skip

    def __init__(self, data: bytes) -> None:
        if len(data) < 152:
            raise Damaged("a flow's record is too short")
        self.flags, self.kind = data[5], data[6]
        self.id = identity(data[8:24])
        (self.started,) = struct.unpack_from("<q", data, 24)
        self.port, text_at, self.part, self.client, self.server, self.stream = struct.unpack_from("<HHIIII", data, 44)
        self.details_at, self.details, self.content_at, self.content = struct.unpack_from("<IIII", data, 64)
        texts = []
        for length in struct.unpack_from("<7I", data, 104):
            if text_at + length > len(data):
                raise Damaged("a flow's text is outside of its record")
            texts.append(data[text_at : text_at + length].decode("utf-8", "replace"))
            text_at += length
        self.scheme, self.host, _, _, _, self.error, self.comment = texts


class BlockContent(Protocol):
    """What a record refers to in its block. Each raises Damaged when it cannot be read."""

    lost: bool

    def connection(self, reference: int, kind: int) -> Connection | None: ...

    def details(self, at: int, count: int) -> bytes: ...

    def content(self, offset: int, size: int) -> bytes: ...


class _Fold:
    """Adds the items of a record to its flow."""

    def __init__(self, flow: Flow, block: BlockContent, record: FlowRecord) -> None:
        self.flow, self.block, self.record = flow, block, record
        self.position = record.content_at

    def run(self) -> None:
        flow, block, record = self.flow, self.block, self.record
        if record.flags & 1:
            self.begin(record.started)
        flow.client = block.connection(record.client, 1) or flow.client
        flow.server = block.connection(record.server, 2) or flow.server
        cursor, at = Cursor(block.details(record.details_at, record.details)), record.started
        while not cursor.is_at_end():
            tag = cursor.byte()
            at += cursor.zigzag()
            self.item(tag, at, Cursor(cursor.sized()))

    def begin(self, at: int) -> None:
        flow, record = self.flow, self.record
        flow.kind, flow.stream, flow.started = named(KINDS, record.kind, "a kind of flow"), record.stream, at
        flow.scheme, flow.host, flow.port = record.scheme, record.host, record.port

    def half(self, side: Side) -> Message | None:
        return self.flow.request if side == "client" else self.flow.response

    def item(self, tag: int, at: int, content: Cursor) -> None:
        flow = self.flow
        if tag in (1, 2, 3):
            made = Message((content.byte(), content.byte()), content.data[2:], at)
            if tag == 1:
                flow.request = made
            elif tag == 2:
                flow.interims.append(made)
            else:
                flow.response = made
        elif tag == 4:
            self.piece(at, content)
        elif tag == 5:
            if half := self.half(self.side(content)):
                half.trailers = content.data[1:]
        elif tag == 6:
            if half := self.half(self.side(content)):
                half.ended = at
        elif tag == 7:
            self.end(at, content)
        elif tag == 8:
            flow.notes.append((at, min(content.byte(), 2), content.data[1:]))
        elif tag == 9:
            flow.malformed.append((at, self.side(content), content.data[1:]))
        elif tag == 10:
            version = (content.byte(), content.byte())
            head = content.take(content.number("I"))
            flow.local_reply = (Message(version, head, at), content.data[content.position :])
        elif tag == 11:
            self.redaction(content)
        elif tag == 12:
            side = self.side(content)
            flow.cuts[side] = cut_of(content)
        elif tag == 13:
            content.varint()
            self.begin(at)
            flow.before = (content.varint(), content.varint())

    @staticmethod
    def side(content: Cursor) -> Side:
        return SIDES[1 if content.byte() else 0]

    def piece(self, at: int, content: Cursor) -> None:
        flow = self.flow
        head = content.byte()
        kind, side, size = named(PIECES, head >> 4, "a kind of piece"), SIDES[head & 1], content.varint()
        wire = content.varint() if head & 2 else size
        if head & 2:
            content.varint()
        cut = cut_of(content) if head & 8 else None
        if self.position + size > self.record.content_at + self.record.content:
            raise Damaged("a piece lies outside of its record's content")
        try:
            part: bytes | Lost = self.block.content(self.position, size)
        except Damaged:
            part, self.block.lost = Lost(size), True
        flow.unfinished.append(part)
        self.position += size
        half = self.half(side)
        if kind == "data" and half:
            # Each part of a divided piece has the bytes on the wire of all of it.
            half.size += size if not head & 2 else 0 if flow.continues else wire
        flow.continues = head & 4 != 0
        if not flow.continues:
            data = _joined(flow.unfinished)
            flow.pieces.append(Piece(at, kind, side, data, wire if head & 2 else len(data), cut))
            flow.unfinished = []

    def redaction(self, content: Cursor) -> None:
        flow = self.flow
        flow.decoded |= content.byte()

        def add(place: int, count: int, rule: str, reason: int | None = None) -> None:
            key = (rule, place, reason)
            flow.redacted[key] = flow.redacted.get(key, 0) + count

        for _ in range(content.varint()):
            add(content.byte(), content.varint(), content.text())
        for _ in range(content.varint()):
            place, reason = content.byte(), content.byte()
            add(place, content.varint(), content.text(), reason)

    def end(self, at: int, content: Cursor) -> None:
        flow, record = self.flow, self.record
        flow.stored_state, flow.ended = named(STATES, content.byte(), "a state"), at
        bits = content.byte()
        flow.reset = bits & 1 != 0
        flow.closed_by = SIDES[bits >> 2 & 1] if bits & 2 else None
        if bits & 8:
            flow.passthrough = (content.varint(), content.varint())
        content.zigzag()
        if record.flags & 8:
            flow.stored_error = {"message": record.error}
            if bits & 16:
                flow.stored_error["side"] = SIDES[bits >> 5 & 1]
        flow.comment = record.comment if record.flags & 16 else None
        flow.tags = [content.text() for _ in range(content.varint())]


def _joined(parts: list[bytes | Lost]) -> bytes | Lost:
    if any(isinstance(part, Lost) for part in parts):
        return Lost(sum(len(part) for part in parts))
    return b"".join(part for part in parts if not isinstance(part, Lost))


def fold(flow: Flow, block: BlockContent, record: FlowRecord) -> None:
    """Adds a record, and what it refers to in its block, to its flow. Raises Damaged when the details are not valid."""
    _Fold(flow, block, record).run()
