"""Every kind of flow as an Arrow stream of mitm-filter: pyarrow finds it valid, and its values are those of --format json."""

import base64
import datetime
import json
import subprocess

import pyarrow as pa
import pytest
from conftest import ARCHIVES

CONTENT = "req_headers,resp_headers,req_body,req_body_complete,resp_body,resp_body_complete,messages"
STANDARD = (
    "id,kind,state,started,ended,duration_us,ttfb_us,client,server,host,port,method,scheme,path,query,url,http_version,status,"
    "req_bytes,resp_bytes,req_type,resp_type,tls_version,alpn,sni,ja4,error,tags,file,block_offset,part_count"
)


def output(*arguments):
    # 1: no flow. 3: the file is damaged or torn, and the rest of it is there.
    done = subprocess.run(["mitm-filter", *map(str, arguments)], capture_output=True)
    assert done.returncode in (0, 1, 3), done.stderr
    return done.stdout


def rows(*arguments):
    table = pa.ipc.open_stream(output(*arguments)).read_all()
    table.validate(full=True)

    def plain(column):
        return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column

    # Python's times have no nanoseconds.
    if "messages" in table.schema.names:
        index = table.schema.get_field_index("messages")
        item = [field if field.name != "at" else field.with_type(pa.int64()) for field in table.schema.field(index).type.value_type]
        table = table.set_column(index, "messages", table["messages"].cast(pa.list_(pa.struct(item))))
    return pa.table({name: plain(table[name]) for name in table.schema.names}).to_pylist(), table.schema.names


def nanoseconds(text):
    """Nanoseconds since 1970 of a time with nine decimals."""
    if text is None:
        return None
    seconds, fraction = text.rstrip("Z").split(".")
    return int(datetime.datetime.fromisoformat(seconds + "+00:00").timestamp()) * 10**9 + int(fraction)


def content(body):
    """The bytes of a body or message in JSON; None when it is damaged or left out."""
    if "text" in body:
        return body["text"].encode()
    return base64.b64decode(body["base64"]) if "base64" in body else None


def facts(flow):
    """What JSON has of the metadata of a flow."""
    request, response = flow.get("request") or {}, flow.get("local_reply") or flow.get("response") or {}
    client = flow.get("client") or {}
    tls = client.get("tls") or {}
    return {
        "id": flow["id"],
        "kind": flow["kind"],
        "state": flow["state"],
        "started": nanoseconds(flow["started"]),
        "ended": nanoseconds(flow.get("ended")),
        "client": client.get("address"),
        "method": request.get("method"),
        # JSON has the scheme with the request alone.
        **({"scheme": request["scheme"]} if "scheme" in request else {}),
        "url": request.get("url"),
        "http_version": request.get("version"),
        "status": response.get("status"),
        "req_type": media_type(request),
        "resp_type": media_type(flow.get("response") or {}),
        "tls_version": tls.get("version"),
        "sni": tls.get("sni"),
        "alpn": tls.get("alpn"),
        "ja4": tls.get("ja4"),
        "error": (flow.get("error") or {}).get("message"),
        "tags": flow.get("tags") or None,
    }


def media_type(message):
    values = [value for name, value in message.get("headers") or [] if name.lower() == "content-type"]
    return (values[0].split(";")[0].strip().lower() or None) if values else None


def headers(found):
    return None if found is None else [[field["name"], field["value"]] for field in found]


@pytest.mark.parametrize("archive", sorted(ARCHIVES.glob("*.mflow")), ids=lambda path: path.stem)
def test_values_equal_those_of_json(archive):
    found, names = rows("--format", "arrow", "~all", archive)
    assert names == STANDARD.split(",")
    whole, _ = rows("--columns", STANDARD + "," + CONTENT, "~all", archive)
    # A flow as a whole gives the same values as its record.
    assert [{name: row[name] for name in names} for row in whole] == found
    flows = [json.loads(line) for line in output("--json", "~all", archive).splitlines()]
    expected = [facts(flow) for flow in flows]
    assert [{name: row[name] for name in facts} for row, facts in zip(found, expected, strict=True)] == expected
    assert all(row["file"] == str(archive) and row["part_count"] > 0 for row in found)
    for row, flow in zip(whole, flows, strict=True):
        for prefix, message in (("req", flow.get("request")), ("resp", flow.get("response"))):
            assert headers(row[prefix + "_headers"]) == (message["headers"] if message else None)
            body = (message or {}).get("body") or {}
            assert (row[prefix + "_body"] or None) == (content(body) or None)
            assert (row[prefix + "_body_complete"] is None) == (message is None)
        expected = (flow.get("websocket") or flow.get("tcp") or {}).get("messages")
        messages = None if row["messages"] is None else [(m["from"], m["size"], m["content"]) for m in row["messages"]]
        assert (messages or None) == ([(m["from"], m["size"], content(m)) for m in expected or []] or None)


def test_ranges_of_rotated_files_have_each_flow_once(tmp_path):
    whole = (ARCHIVES / "continued.mflow").read_bytes()
    # Every file begins with the same bytes.
    starts = [place for place in range(len(whole)) if whole.startswith(whole[:8], place)]
    for number, (start, end) in enumerate(zip(starts, starts[1:] + [len(whole)], strict=True)):
        (tmp_path / ("a-%05d.mflow" % number)).write_bytes(whole[start:end])
    expected = output("--fields", "id,state,req_bytes,resp_bytes", "~all", tmp_path)
    splits = [json.loads(line) for line in output("--splits", "3k", "--json", tmp_path).splitlines()]
    assert len({split["file"] for split in splits}) == len(starts) == 3
    places = [("%(offset)d:%(length)d" % split, split["file"]) for split in splits]
    parts = [output("--range", place, "--fields", "id,state,req_bytes,resp_bytes", "~all", file) for place, file in places]
    assert b"".join(parts) == expected
    assert expected.count(b"complete") == expected.count(b"\n") == 5
