"""The conversations that tools/differential runs: who sends which bytes, after what the other side has received.

A conversation belongs to a family (a mode of the recorder, and what its peers speak) and is a list of turns. A turn `C` is the client's,
a turn `S` the server's; it waits until its sender has received `after` (since its turn before).
"""
from dataclasses import dataclass, field


@dataclass
class Turn:
    side: str
    data: bytes
    after: bytes = b""
    closes: bool = False  # The sender ends its direction after this turn.


def C(data, after=b"", closes=False):
    return Turn("c", data if isinstance(data, bytes) else data.encode("latin-1"), as_bytes(after), closes)


def S(data, after=b"\r\n\r\n", closes=False):
    return Turn("s", data if isinstance(data, bytes) else data.encode("latin-1"), as_bytes(after), closes)


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


@dataclass
class Family:
    mode: str  # `{origin}` is the address of the server.
    arguments: list = field(default_factory=list)
    client_tls: list | None = None  # The protocols that the client offers by ALPN; None: no TLS.
    server_tls: list | None = None
    prelude: list = field(default_factory=list)  # Turns before TLS of the client: CONNECT, SOCKS.
    conversations: dict = field(default_factory=dict)


# HTTP/1

OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
REQUESTS = {
    "GET": (GET, "\r\n\r\n"),
    "GET with fields": ("GET /a?b=c HTTP/1.1\r\nHOST:  a \r\nX: 1\r\nx: 2\r\nConnection: close, x\r\n\r\n", "\r\n\r\n"),
    "GET of HTTP/1.0": ("GET / HTTP/1.0\r\n\r\n", "\r\n\r\n"),
    "GET of HTTP/1.0 with keep-alive": ("GET / HTTP/1.0\r\nConnection: keep-alive\r\nHost: a\r\n\r\n", "\r\n\r\n"),
    "GET with content": ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "abc"),
    "POST with a length": ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "hello"),
    "POST without content": ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "\r\n\r\n"),
    "POST in chunks": ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "0\r\n\r\n"),
    "POST in chunks with trailers": ("POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n2\r\nhi\r\n0\r\nT: 1\r\n\r\n", "T: 1\r\n\r\n"),
    "POST with both framings": ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", "0\r\n\r\n"),
    "POST with two lengths": ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "abc"),
    "OPTIONS *": ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n\r\n"),
    "Bare line feeds": ("GET / HTTP/1.1\nHost: a\nX: 1\n\n", "\r\n\r\n"),
    "A folded field": ("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", "\r\n\r\n"),
    "No Host": ("GET / HTTP/1.1\r\nX: 1\r\n\r\n", "\r\n\r\n"),
    "Two Hosts": ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "\r\n\r\n"),
    "Not HTTP": ("\x16\x00\x01 nonsense\r\n\r\n", "\r\n\r\n"),
    "A space before the colon": ("GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n", "\r\n\r\n"),
    "HTTP/3.0": ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", "\r\n\r\n"),
    "An unknown method": ("BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n\r\n"),
    "Empty lines before a request": ("\r\n\r\n" + GET, "Host: a\r\n\r\n"),
    "Expect without waiting": ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi", "hi"),
    "Hop-by-hop fields": ("GET / HTTP/1.1\r\nHost: a\r\nConnection: X, keep-alive\r\nX: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip\r\nUpgrade: none\r\n\r\n", "\r\n\r\n"),
}
RESPONSES = {
    "200 with a length": OK,
    "200 without content": "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "200 in chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n1\r\n!\r\n0\r\n\r\n",
    "200 in chunks with trailers": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nT: 1\r\nU: 2\r\n\r\n",
    "204": "HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n",
    "304 with a length": "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    "103, then 200": "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
    "100, 102, then 200": "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + OK,
    "200 of HTTP/1.0 with a length": "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "No reason": "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    "An odd status": "HTTP/1.1 799 Whatever it is\r\nContent-Length: 2\r\n\r\nok",
    "Repeated fields": "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\ncontent-length: 2\r\n\r\nok",
    "Connection: close": "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "Two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "Both framings": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "More than its length": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more",
    "A chunk without a size": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n",
    "Not HTTP": "220 ready\r\n\r\n",
    "unsolicited 101": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc",
    "gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 22\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\xcf\x06\x00G\xdd\xdcy\x02\x00\x00\x00",
    "Bare line feeds": "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "A folded field": "HTTP/1.1 200 OK\r\nX: 1\r\n\t2\r\nContent-Length: 2\r\n\r\nok",
}


def http1():
    table = {}
    for name, (request, until) in REQUESTS.items():
        table[f"request: {name}"] = [C(request), S(OK, until)]
    for name, response in RESPONSES.items():
        table[f"response: {name}"] = [C(GET), S(response)]
    table["response: 200 until the end"] = [C(GET), S("HTTP/1.1 200 OK\r\n\r\nuntil the end", closes=True)]
    table["response: 200 of HTTP/1.0 until the end"] = [C(GET), S("HTTP/1.0 200 OK\r\nX: 1\r\n\r\nuntil the end", closes=True)]
    table["response: until the end for HTTP/1.0"] = [C("GET / HTTP/1.0\r\n\r\n"), S("HTTP/1.1 200 OK\r\n\r\nx", closes=True)]
    table["response: chunks for HTTP/1.0"] = [C("GET / HTTP/1.0\r\n\r\n"), S(RESPONSES["200 in chunks with trailers"])]
    table["HEAD"] = [C("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), S("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")]
    table["pipelined"] = [C(GET * 3), S(OK), S(OK), S(OK)]
    table["one after the other"] = [C(GET), S(OK), C(GET, "ok"), S(OK), C(REQUESTS["POST in chunks"][0], "ok"), S(OK, "0\r\n\r\n")]
    table["Expect, waited for"] = [
        C("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"), S("HTTP/1.1 100 Continue\r\n\r\n"),
        C("hi", "\r\n\r\n"), S(OK, "hi"),
    ]
    table["Expect, refused"] = [
        C("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
        S("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"),
    ]
    table["answered before the content has come"] = [
        C("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe"), S("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", "he"), C("llo", "no"),
    ]
    table["101 of another protocol"] = [
        C("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"),
        S("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello"), C("ping", "hello"), S("pong", "ping", closes=True),
    ]
    table["server closes between requests"] = [C(GET), S(OK, closes=True), C(GET, "ok"), S(OK)]
    table["large content"] = [
        C("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + "x" * 200000),
        S("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + "y" * 200000, "x" * 1000),
    ]
    return table


def some(table, *names):
    return {name: turns for name, turns in table.items() if any(part in name for part in names)}


FEW = ("request: GET", "request: POST", "chunks", "HEAD", "103", "until the end", "pipelined", "101 of", "Not HTTP")


def proxied(table):
    """With requests in absolute form."""
    out = {}
    for name, turns in table.items():
        out[name] = [Turn(t.side, t.data.replace(b" / HTTP/1", b" http://{origin}/ HTTP/1"), t.after, t.closes) for t in turns]
    return out


# HTTP/2 (RFC 9113), with heads as literals that are never indexed (RFC 7541 section 6.2.3)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8


def frame(kind, flags, stream, payload=b""):
    payload = as_bytes(payload)
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def section(*fields):
    out = b""
    for name, value in fields:
        name, value = as_bytes(name), as_bytes(value)
        assert len(name) < 127 and len(value) < 127
        out += b"\x10" + bytes([len(name)]) + name + bytes([len(value)]) + value
    return out


def request(stream=1, method="GET", path="/", *fields, end=True, scheme="http", authority="a"):
    head = section((":method", method), (":scheme", scheme), (":authority", authority), (":path", path), *fields)
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, head)


def response(stream=1, status="200", *fields, end=False):
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, section((":status", status), *fields))


def data(stream, content, end=True):
    return frame(DATA, END_STREAM if end else 0, stream, content)


HELLO = PREFACE + frame(SETTINGS, 0, 0) + frame(SETTINGS, ACK, 0)
SERVER_HELLO = frame(SETTINGS, 0, 0) + frame(SETTINGS, ACK, 0)
T = ("te", "trailers")
STREAM_1 = b"\0\0\0\1"  # The identifier of the first stream, in the header of its first frame.

# What a client of HTTP/2 sends, and what of it a server has received when it answers (over HTTP/1, over HTTP/2 it is the END_STREAM).
H2_REQUESTS = {
    "GET": (request(), "\r\n\r\n"),
    "GET with fields": (request(1, "GET", "/a?b=c", ("x", "1"), ("cookie", "a=1"), ("cookie", "b=2"), ("accept", "*/*")), "\r\n\r\n"),
    "HEAD": (request(1, "HEAD"), "\r\n\r\n"),
    "POST": (request(1, "POST", end=False) + data(1, "hello"), "hello"),
    "POST with a length": (request(1, "POST", "/", ("content-length", "5"), end=False) + data(1, "hel", False) + data(1, "lo"), "hello"),
    "POST with a wrong length": (request(1, "POST", "/", ("content-length", "9"), end=False) + data(1, "hello"), "hello"),
    "POST without content": (request(1, "POST", end=False) + data(1, ""), "\r\n\r\n"),
    "POST with trailers": (request(1, "POST", "/", T, end=False) + data(1, "hi", False) + frame(HEADERS, 5, 1, section(("t", "1"))), "hi"),
    "padded": (request(1, "POST", end=False) + frame(DATA, PADDED | END_STREAM, 1, b"\x03hello\0\0\0"), "hello"),
    "CONTINUATION": (
        frame(HEADERS, END_STREAM, 1, section((":method", "GET"), (":scheme", "http")))
        + frame(CONTINUATION, END_HEADERS, 1, section((":authority", "a"), (":path", "/"))), "\r\n\r\n"),
    "an upper-case name": (request(1, "GET", "/", ("X", "1")), "\r\n\r\n"),
    "a connection field": (request(1, "GET", "/", ("connection", "close")), "\r\n\r\n"),
    "no path": (frame(HEADERS, 5, 1, section((":method", "GET"), (":scheme", "http"), (":authority", "a"))), "\r\n\r\n"),
    "PING and WINDOW_UPDATE": (
        frame(PING, 0, 0, "12345678") + request() + frame(WINDOW, 0, 0, b"\0\1\0\0") + frame(WINDOW, 0, 1, b"\0\1\0\0"), "\r\n\r\n"),
    "PRIORITY": (frame(PRIORITY, 0, 3, b"\0\0\0\1\x10") + request(), "\r\n\r\n"),
    "RST_STREAM": (request(1, "POST", end=False) + data(1, "he", False) + frame(RST, 0, 1, b"\0\0\0\x08"), "he"),
    "DATA on an idle stream": (request() + data(5, "x"), "\r\n\r\n"),
    "an unknown frame": (frame(0x42, 7, 0, "what") + request(), "\r\n\r\n"),
    "SETTINGS of odd length": (frame(SETTINGS, 0, 0, "abc") + request(), "\r\n\r\n"),
}
H2_RESPONSES = {
    "200": response() + data(1, "ok"),
    "200 with a length": response(1, "200", ("content-length", "2")) + data(1, "o", False) + data(1, "k"),
    "200 without content": response(end=True),
    "200 with trailers": response() + data(1, "ok", False) + frame(HEADERS, 5, 1, section(("t", "1"))),
    "103, then 200": response(1, "103", ("link", "</a>")) + response() + data(1, "ok"),
    "204": response(1, "204", end=True),
    "304": response(1, "304", ("content-length", "9"), end=True),
    "more than its length": response(1, "200", ("content-length", "1")) + data(1, "okay"),
    "less than its length": response(1, "200", ("content-length", "9")) + data(1, "okay"),
    "RST_STREAM": response() + data(1, "ok", False) + frame(RST, 0, 1, b"\0\0\0\x02"),
    "GOAWAY that covers it": response() + frame(GOAWAY, 0, 0, b"\0\0\0\1\0\0\0\0") + data(1, "ok"),
    "a connection field": response(1, "200", ("connection", "close")) + data(1, "ok"),
    "no status": frame(HEADERS, 4, 1, section(("x", "1"))) + data(1, "ok"),
    "PUSH_PROMISE": frame(PUSH, 4, 1, b"\0\0\0\2" + section((":method", "GET"))) + response() + data(1, "ok"),
    "PING": frame(PING, 0, 0, "abcdefgh") + response() + data(1, "ok"),
    "padded": response() + frame(DATA, PADDED | END_STREAM, 1, b"\x02ok\0\0"),
    "101": response(1, "101") + data(1, "ok"),
    "DATA before HEADERS": data(1, "ok"),
}


def h2_to_h1():
    table = {f"request: {name}": [C(HELLO + sent), S(OK, until)] for name, (sent, until) in H2_REQUESTS.items()}
    for name, answer in RESPONSES.items():
        table[f"response: {name}"] = [C(HELLO + request()), S(answer)]
    table["response: 200 until the end"] = [C(HELLO + request()), S("HTTP/1.1 200 OK\r\n\r\nuntil the end", closes=True)]
    table["one after the other"] = [C(HELLO + request()), S(OK), C(request(3, "POST", end=False) + data(3, "hey"), "ok"), S(OK, "hey")]
    return table


def h2_to_h2():
    table = {}
    for name, (sent, _) in H2_REQUESTS.items():
        table[f"request: {name}"] = [C(HELLO), S(SERVER_HELLO, PREFACE), C(sent, b"\4"), S(response() + data(1, "ok"), STREAM_1)]
    for name, answer in H2_RESPONSES.items():
        table[f"response: {name}"] = [C(HELLO), S(SERVER_HELLO, PREFACE), C(request(), b"\4"), S(answer, STREAM_1)]
    return table


def h1_to_h2():
    table = {}
    for name, (sent, _) in REQUESTS.items():
        table[f"request: {name}"] = [C(sent), S(SERVER_HELLO, PREFACE), S(response() + data(1, "ok"), STREAM_1)]
    for name, answer in H2_RESPONSES.items():
        table[f"response: {name}"] = [C(GET), S(SERVER_HELLO, PREFACE), S(answer, STREAM_1)]
    table["response: 200 for HTTP/1.0"] = [C("GET / HTTP/1.0\r\n\r\n"), S(SERVER_HELLO, PREFACE), S(response() + data(1, "ok"), STREAM_1)]
    return table


# WebSocket (RFC 6455, RFC 8441)

UPGRADE = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
SWITCHING = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"


def ws(opcode, payload, masked=False, final=True, reserved=0):
    payload = as_bytes(payload)
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    size = len(payload)
    head += bytes([(0x80 if masked else 0) | (size if size < 126 else 126)]) + (size.to_bytes(2, "big") if size >= 126 else b"")
    if not masked:
        return head + payload
    key = b"\1\2\3\4"
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def talks():
    """What the two say after the opening handshake."""
    up = lambda *arguments, **named: ws(*arguments, masked=True, **named)
    bye = b"\x03\xe8bye"
    return {
        "text": [C(up(1, "hello")), S(ws(1, "world"), b"\x81"), C(up(8, bye), "world"), S(ws(8, bye), b"\x88", closes=True)],
        "binary, larger": [C(up(2, "x" * 300)), S(ws(2, "y" * 300), b"\x82")],
        "fragments": [C(up(1, "he", final=False) + up(9, "p") + up(0, "llo")), S(ws(1, "a", final=False) + ws(0, "b"), b"\x80")],
        "pings": [S(ws(9, "1"), b""), C(up(9, "2")), S(ws(10, "2"), b"\x89")],
        "not masked": [C(ws(1, "hello"))],
        "a reserved bit": [C(up(1, "hello", reserved=4))],
        "text that is no UTF-8": [C(up(1, b"\xff\xfe"))],
        "the server breaks the protocol": [S(ws(3, "x"), b"")],
        "the server leaves": [S(ws(1, "x"), b"", closes=True)],
        "the client leaves": [C(up(1, "x"), closes=True)],
    }


def websocket():
    table = {"refused": [C(UPGRADE), S("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")]}
    for name, turns in talks().items():
        table[name] = opened([C(UPGRADE), S(SWITCHING)], turns)
    return table


def opened(opening, turns):
    """The client's first turn waits for the end of the opening handshake."""
    turns = [Turn(t.side, t.data, t.after, t.closes) for t in turns]
    first = next((t for t in turns if t.side == "c"), None)
    if first:
        first.after = first.after or b"\r\n\r\n"
    return opening + turns


EXTENDED = frame(HEADERS, END_HEADERS, 1, section(
    (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "a"), (":path", "/chat"), ("sec-websocket-version", "13")))


def websocket_h2_to_h1():
    out = {"refused": [C(HELLO + EXTENDED), S("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")]}
    for name, turns in talks().items():
        wrapped = []
        for t in turns:
            if t.side == "c":
                wrapped.append(Turn("c", data(1, t.data, t.closes), t.after, False))
            else:
                wrapped.append(t)
        first = next((t for t in wrapped if t.side == "c"), None)
        if first:
            first.after = first.after or b"\0\1"
        out[name] = [C(HELLO + EXTENDED), S(SWITCHING)] + wrapped
    return out


# Tunnels

def tcp():
    return {
        "one says, one answers": [C("hello"), S("world", "hello"), C("bye", "world", closes=True), S("bye", "bye", closes=True)],
        "the server speaks first": [S("220 ready\r\n", b""), C("HELO\r\n", "220"), S("250\r\n", "HELO", closes=True)],
        "the client ends first": [C("hello", closes=True), S("world", "hello", closes=True)],
        "much": [C("x" * 200000), S("y" * 200000, "x" * 1000)],
    }


CONNECT = [C("CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\n\r\n")]
SOCKS = [C(b"\x05\x01\x00"), C(b"\x05\x01\x00\x01\x7f\x00\x00\x01{port}", b"\x05\x00")]


def families():
    one = http1()
    few = some(one, *FEW)
    return {
        "http1": Family("reverse:http://{origin}", ["--keep-host-header"], conversations=one),
        "regular": Family("regular", conversations=proxied(few)),
        "connect": Family("regular", prelude=CONNECT, conversations={**some(one, "request: GET", "chunks", "101 of"), **tcp()}),
        "connect-tls": Family("regular", ["--insecure"], client_tls=["http/1.1"], server_tls=["http/1.1"], prelude=CONNECT, conversations=few),
        "https": Family("reverse:https://{origin}", ["--insecure", "--keep-host-header"], client_tls=["http/1.1"], server_tls=["http/1.1"], conversations=few),
        "socks": Family("socks5", prelude=SOCKS, conversations={**some(one, "request: GET", "chunks"), **tcp()}),
        "upstream": Family("upstream:http://{origin}", conversations=proxied(few)),
        "h2-to-h1": Family("reverse:http://{origin}", ["--keep-host-header"], conversations=h2_to_h1()),
        "h2-to-h2": Family("reverse:h2c://{origin}", ["--keep-host-header"], conversations=h2_to_h2()),
        "h1-to-h2": Family("reverse:h2c://{origin}", ["--keep-host-header"], conversations=h1_to_h2()),
        "h2-tls-to-h1": Family("reverse:https://{origin}", ["--insecure", "--keep-host-header"], client_tls=["h2"], server_tls=["http/1.1"],
                               conversations=some(h2_to_h1(), "GET", "POST", "chunks", "until the end")),
        "websocket": Family("reverse:http://{origin}", ["--keep-host-header"], conversations=websocket()),
        "websocket-h2": Family("reverse:http://{origin}", ["--keep-host-header"], conversations=websocket_h2_to_h1()),
        "tcp": Family("reverse:tcp://{origin}", conversations=tcp()),
        "tls": Family("reverse:tls://{origin}", ["--insecure"], client_tls=[], server_tls=[], conversations=tcp()),
    }
