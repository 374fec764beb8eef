"""500 secrets in a conversation of every kind: the exchanges, an origin that answers them, a client that asks, and a search for the secrets.

The conversation is the same each time. A secret stands where a rule of `RULES` is meant to find it, in every form in which people send
secrets: heads, targets, cookies, coded bodies, nested and escaped JSON, forms, multipart, trailers, WebSocket messages, streams, HTTP/2.
"""
import base64
import dataclasses
import hashlib
import http.client
import json
import re
import socket
import subprocess
import tempfile
import threading
import urllib.parse
import zlib

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, RequestReceived, ResponseReceived, StreamEnded, StreamReset
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.frames import Opcode
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

COUNT = 500
# What has neither a name nor a known shape needs a pattern.
RULES = ["share", "secrets", "pattern:zq-[a-z0-9]{20}"]
OPTIONS = [argument for rule in RULES for argument in ("--redact", rule)] + ["--redact-limit", "64k"]
# Stands for a value.
MARK = "«redacted»".encode()
LOWER, UPPER, DIGITS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"


@dataclasses.dataclass
class Secret:
    place: str
    value: str
    # The bytes as they are sent, and as a decoder returns them.
    forms: set


class Corpus:
    """The exchanges by their number, and the secrets in them."""

    def __init__(self):
        self.secrets = []
        self.exchanges = []
        self.streams = []
        self.conversations = []
        self.counter = 0
        round_ = 0
        while len(self.secrets) < COUNT:
            Round(self, round_).plant()
            round_ += 1

    def random(self, alphabet, length):
        """Characters that are the same in each run."""
        self.counter += 1
        digest = hashlib.shake_256(b"%d" % self.counter).digest(length)
        return "".join(alphabet[byte % len(alphabet)] for byte in digest)

    def add(self, place, value, *forms):
        self.secrets.append(Secret(place, value, {value.encode(), *forms}))
        return value


@dataclasses.dataclass
class Exchange:
    """A request and its response, as bytes of HTTP/1 or as fields and content of HTTP/2."""
    number: int
    request: list
    response: list
    is_head: bool = False
    is_http2: bool = False
    # Neither a server nor a recording answers it.
    is_unanswered: bool = False
    request_trailers: list = dataclasses.field(default_factory=list)
    response_trailers: list = dataclasses.field(default_factory=list)


def coded(name, content):
    if name == "gzip":
        packer = zlib.compressobj(9, wbits=31)
        return packer.compress(content) + packer.flush()
    if name == "deflate":
        return zlib.compress(content)
    if name:
        return subprocess.run([{"br": "brotli"}.get(name, name), "-c"], input=content, stdout=subprocess.PIPE, check=True).stdout
    return content


def chunks(content, parts=3, trailers=()):
    size = max(1, -(-len(content) // parts))
    body = b"".join(b"%x\r\n%b\r\n" % (len(content[at:at + size]), content[at:at + size]) for at in range(0, len(content), size))
    return body + b"0\r\n" + b"".join(b"%b: %b\r\n" % (name.encode(), value.encode()) for name, value in trailers) + b"\r\n"


class Round:
    """One secret, or some, of each kind."""

    def __init__(self, corpus, round_):
        self.corpus, self.round = corpus, round_

    def token(self, place):
        """Has no shape: its name decides."""
        return self.corpus.add(place, self.corpus.random(LOWER + DIGITS, 24))

    def marked(self, place):
        """A pattern decides."""
        return self.corpus.add(place, "zq-" + self.corpus.random(LOWER + DIGITS, 20))

    def shaped(self, place, prefix, alphabet, length):
        """Its own shape decides."""
        return self.corpus.add(place, prefix + self.corpus.random(alphabet, length))

    def password(self, place):
        """Has characters that forms and URLs escape."""
        value = "p/" + self.corpus.random(LOWER + DIGITS, 14) + "+é&=" + self.corpus.random(UPPER, 4)
        return self.corpus.add(
            place, value, urllib.parse.quote_plus(value).encode(), value.split("+")[0].encode(), json.dumps(value)[1:-1].encode())

    def escaped(self, place):
        """A value and its JSON string in which each character is escaped."""
        value = self.corpus.random(LOWER + DIGITS, 20)
        text = "".join(f"\\u{ord(character):04x}" for character in value)
        self.corpus.add(place, value, text.encode())
        return text

    def token_of_claims(self, place):
        """A JSON web token, of which the signature is the secret."""
        def part(value):
            return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
        signature = self.corpus.add(place, self.corpus.random(LOWER + UPPER + DIGITS + "-_", 43))
        return ".".join([part({"alg": "HS256", "typ": "JWT"}), part({"sub": "1234567890", "iat": 1516239022}), signature])

    def basic(self, place):
        password = self.corpus.random(LOWER + DIGITS, 18)
        word = base64.b64encode(f"user:{password}".encode())
        self.corpus.add(place, password, word)
        return "Basic " + word.decode()

    def exchange(self, method, path, fields=(), content=b"", coding="", status="200 OK", answer=(), body=b"", answer_coding="", *,
                 chunked=(), answer_chunked=(), trailers=(), answer_trailers=(), declared=None):
        """An exchange of HTTP/1. `chunked` and `answer_chunked`: the number of chunks."""
        number = len(self.corpus.exchanges)
        content, body = coded(coding, content), coded(answer_coding, body)
        fields = [("Host", "planted.example"), ("X-Number", str(number)), *fields] + ([("Content-Encoding", coding)] if coding else [])
        answer = [("X-Number", str(number)), *answer] + ([("Content-Encoding", answer_coding)] if answer_coding else [])
        if chunked:
            fields += [("Transfer-Encoding", "chunked")]
            content = chunks(content, chunked, trailers)
        elif content or method in ("POST", "PUT"):
            fields += [("Content-Length", str(declared or len(content)))]
        if answer_chunked:
            answer += [("Transfer-Encoding", "chunked")]
            body = chunks(body, answer_chunked, answer_trailers)
        else:
            answer += [("Content-Length", str(len(body)))]
        slash = "&" if "?" in path else "?"

        def head(line, fields):
            return "".join([line + "\r\n", *(f"{name}: {value}\r\n" for name, value in fields), "\r\n"]).encode()
        request = head(f"{method} {path}{slash}number={number} HTTP/1.1", fields)
        response = head(f"HTTP/1.1 {status}", answer)
        exchange = Exchange(number, [request, content], [response, b"" if method == "HEAD" else body], is_head=method == "HEAD")
        self.corpus.exchanges.append(exchange)
        return exchange

    def exchange_http2(self, fields, content, answer, body, trailers=(), answer_trailers=()):
        number = len(self.corpus.exchanges)
        path = dict(fields)[":path"]
        fields = [(name, path + f"&number={number}" if name == ":path" else value) for name, value in fields]
        exchange = Exchange(
            number, [fields + [("x-number", str(number))], content], [answer + [("x-number", str(number))], body], is_http2=True,
            request_trailers=list(trailers), response_trailers=list(answer_trailers))
        self.corpus.exchanges.append(exchange)

    def plant(self):
        self.heads()
        self.forms()
        self.documents()
        self.bodies()
        self.shapes()
        self.hostile()
        self.http2()
        self.conversations()

    def heads(self):
        token, password = self.token, self.password
        self.exchange(
            "GET", f"/login?access_token={token('query access_token')}&state={token('query state')}&keep=plain",
            [("Authorization", "Bearer " + token("Authorization: Bearer")), ("X-Api-Key", token("X-Api-Key")),
             ("Cookie", f"sid={token('cookie')}; theme={token('second cookie')}")],
            answer=[("Set-Cookie", f"sid={token('Set-Cookie')}; Path=/; HttpOnly"), ("Content-Type", "application/json")],
            body=json.dumps({"access_token": token("JSON access_token"), "kept": 1, "user": {
                "name": "someone", "password": password("nested JSON password"),
                "list": [1, {"client_secret": token("JSON client_secret in a list")}]}}).encode())
        self.exchange("GET", "/basic", [("Authorization", self.basic("Authorization: Basic"))], answer=[("Content-Type", "text/plain")],
                      body=b"hello\n")
        self.exchange("GET", f"/path/{self.marked('path')}/end", [("X-Note", "a " + self.marked("field without a name"))],
                      status="302 Found", answer=[("Location", f"https://planted.example/next?code={token('code in Location')}")])
        self.exchange("HEAD", "/head", answer=[("Set-Cookie", f"head={token('Set-Cookie of HEAD')}")])
        self.exchange("GET", "/jwt", [("Authorization", "Bearer " + self.token_of_claims("JWT in Authorization"))],
                      answer=[("Content-Type", "text/plain")], body=b"claims\n")
        self.exchange("GET", "/none", answer=[("Set-Cookie", f"a={token('Set-Cookie of 304')}"), ("ETag", '"1"')],
                      status="304 Not Modified")
        self.corpus.exchanges[-1].response[0] = self.corpus.exchanges[-1].response[0].replace(b"Content-Length: 0\r\n", b"")

    def forms(self):
        password = self.password("form password")
        form = urllib.parse.urlencode({"user": "someone", "password": password, "client_secret": self.token("form client_secret")})
        self.exchange("POST", "/form", [("Content-Type", "application/x-www-form-urlencoded")], form.encode(),
                      answer=[("Content-Type", "application/json")], answer_coding="gzip",
                      body=json.dumps({"refresh_token": self.token("refresh_token in gzip JSON"), "n": list(range(40))}).encode())
        boundary = "----planted" + self.corpus.random(DIGITS, 8)
        parts = [("password", "", self.token("multipart password")), ("note", "", "kept"),
                 ("file", '; filename="keys.txt"', "key = " + self.shaped("AWS key in a multipart file", "AKIA", UPPER + "234567", 16))]
        content = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'
                          for name, more, value in parts) + f"--{boundary}--\r\n"
        self.exchange("POST", "/upload", [("Content-Type", f"multipart/form-data; boundary={boundary}")], content.encode(),
                      answer=[("Content-Type", "text/html")], answer_coding="gzip",
                      body=f"<p>Your key is {self.shaped('Stripe key in gzip HTML', 'sk_live_', LOWER + UPPER + DIGITS, 24)}</p>".encode())

    def documents(self):
        text = '{"a":{"b":[{"p\\u0061ssword":"%s"}]},"kept":"\\u00e9"}' % self.escaped("escaped JSON in gzip")
        self.exchange("POST", "/nested", [("Content-Type", "application/json")], text.encode(), "gzip",
                      answer=[("Content-Type", "application/json")], answer_coding="br",
                      body=json.dumps({"id_token": self.token_of_claims("JWT in br JSON"), "kept": "x" * 50}).encode())
        self.exchange("POST", "/br", [("Content-Type", "application/json")],
                      json.dumps({"password": self.token("JSON password in br")}).encode(), "br",
                      answer=[("Content-Type", "text/plain")], answer_coding="zstd",
                      body=f"token {self.shaped('GitHub token in zstd text', 'ghp_', LOWER + UPPER + DIGITS, 36)}\n".encode())
        self.exchange("PUT", "/zstd", [("Content-Type", "application/json"), ("Trailer", "X-Api-Key")],
                      json.dumps([{"password": self.token("JSON password in zstd chunks")}]).encode(), "zstd",
                      answer=[("Content-Type", "application/json"), ("Trailer", "X-Api-Key")], chunked=2, answer_chunked=5,
                      body=json.dumps({"session": 1, "client_secret": self.token("JSON client_secret over chunks")}).encode(),
                      trailers=[("X-Api-Key", self.token("request trailer"))],
                      answer_trailers=[("X-Api-Key", self.token("response trailer"))])
        self.exchange("POST", "/wrong-type", [("Content-Type", "text/plain")],
                      json.dumps({"password": self.token("JSON password with another media type")}).encode(),
                      answer=[("Content-Type", "application/problem+json")],
                      body=json.dumps({"access_token": self.token("access_token of a JSON suffix")}).encode())
        lines = "".join(json.dumps({"n": n, "id": self.marked("NDJSON line")}) + "\n" for n in range(2))
        self.exchange("GET", "/lines", answer=[("Content-Type", "application/x-ndjson")], body=lines.encode(), answer_chunked=4)
        self.exchange("GET", "/events", answer=[("Content-Type", "text/event-stream")], answer_chunked=3,
                      body=f"data: {self.marked('server-sent event')}\n\ndata: {{}}\n\n".encode())

    def bodies(self):
        script = f"const key = '{self.token('script')}';\n".encode()
        self.exchange("GET", "/app.js", answer=[("Content-Type", "application/javascript")], body=script, answer_coding="gzip")
        image = b"\x89PNG\r\n\x1a\n" + self.token("image").encode() + bytes(range(256))
        self.exchange("GET", "/logo.png", answer=[("Content-Type", "image/png")], body=image)

    def shapes(self):
        letters = LOWER + UPPER + DIGITS
        pem = self.corpus.add("private key", self.corpus.random(letters + "+/", 64))
        rest = "\n".join(self.corpus.random(letters + "+/", 64) for _ in range(3))
        text = f"-----BEGIN PRIVATE KEY-----\n{pem}\n{rest}\n-----END PRIVATE KEY-----\n"
        address = f"postgres://app:{self.corpus.add('connection string', self.corpus.random(letters, 20))}@db.internal:5432/app\n"
        self.exchange("POST", "/shapes", [("Content-Type", "text/plain")], (text + address).encode(),
                      answer=[("Content-Type", "text/plain")], answer_coding="deflate",
                      body=(f"glpat: {self.shaped('GitLab token in deflate', 'glpat-', letters, 20)}\n"
                            f"slack: {self.shaped('Slack token in deflate', 'xoxb-' + self.corpus.random(DIGITS, 12) + '-' + self.corpus.random(DIGITS, 12) + '-', letters, 24)}\n"
                            f"google: {self.shaped('Google key in deflate', 'AIza', letters, 35)}\n").encode())

    def hostile(self):
        """What cannot be parsed is not stored."""
        stored = zlib.compressobj(0, wbits=31)
        packed = bytearray(stored.compress(json.dumps({"password": self.token("JSON in stored gzip with a wrong checksum")}).encode())
                           + stored.flush())
        packed[-8] ^= 0xFF
        self.exchange("GET", "/damaged", answer=[("Content-Type", "application/json"), ("Content-Encoding", "gzip")], body=bytes(packed))
        self.exchange("POST", "/torn", [("Content-Type", "application/json")],
                      ('{"a":1,"password":"' + self.token("JSON without an end")).encode(),
                      answer=[("Content-Type", "text/plain")], body=b"taken\n")
        cut = self.exchange("POST", "/aborted", [("Content-Type", "application/json")],
                            ('{"password":"' + self.token("JSON of an aborted request") + '","b":').encode(), declared=4000)
        cut.is_unanswered = True
        malformed = self.exchange("GET", "/malformed", [("Authorization", "Bearer " + self.marked("malformed request"))])
        malformed.request[0] = malformed.request[0].replace(b"X-Number", b"X Number\x01")
        malformed.is_unanswered = True
        if self.round == 0:
            large = {"padding": "x" * 80_000, "password": self.token("JSON above the limit")}
            self.exchange("POST", "/large", [("Content-Type", "application/json")], json.dumps(large).encode(),
                          answer=[("Content-Type", "application/json")], answer_coding="gzip",
                          body=json.dumps(dict(large, password=self.token("decoded JSON above the limit"))).encode())

    def http2(self):
        token = self.token
        pseudo = [(":method", "POST"), (":scheme", "http"), (":authority", "planted.example")]
        body = coded("gzip", json.dumps({"user": [{"password": token("JSON password in gzip, HTTP/2")}]}).encode())
        self.exchange_http2(
            pseudo + [(":path", f"/h2?client_secret={token('query of HTTP/2')}"), ("authorization", "Bearer " + token("HTTP/2 field")),
                      ("cookie", f"a={token('first cookie of HTTP/2')}"), ("cookie", f"b={token('second cookie of HTTP/2')}"),
                      ("content-type", "application/json"), ("content-encoding", "gzip")], body,
            [(":status", "200"), ("set-cookie", f"s={token('set-cookie of HTTP/2')}"), ("content-type", "application/json")],
            json.dumps({"access_token": token("JSON of HTTP/2"), "note": self.marked("pattern in JSON of HTTP/2")}).encode(),
            trailers=[("x-api-key", token("request trailer of HTTP/2"))], answer_trailers=[("x-api-key", token("trailer of HTTP/2"))])

    def conversations(self):
        # Opening fields, and pairs of a client's message and the server's.
        self.corpus.conversations.append((f"/ws?access_token={self.token('query of a WebSocket')}&number={self.round}", [
            (f"hello {self.marked('WebSocket text of the client')}", f"welcome {self.marked('WebSocket text of the server')} " * 5),
            (b"\x00\x01" + self.marked("WebSocket binary of the client").encode(),
             json.dumps({"token": self.shaped("GitHub token in a WebSocket message", "ghp_", LOWER + UPPER + DIGITS, 36)}))]))
        self.corpus.streams.append([
            (f"AUTH {self.round} {self.marked('TCP data of the client')}\n".encode(), f"+OK {self.marked('TCP data of the server')}\n".encode()),
            (f"GET {self.round}\n".encode(), b"-END\n")])


# The origin


class Origin:
    """Answers the exchanges on one port, the streams on another."""

    def __init__(self, corpus):
        self.corpus = corpus
        self.http, self.http_port = self.listen(self.serve_http)
        self.tcp, self.tcp_port = self.listen(self.serve_stream)

    def listen(self, serve):
        listener = socket.create_server(("127.0.0.1", 0), backlog=200)

        def accept():
            while True:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self.run, args=(serve, connection), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        return listener, listener.getsockname()[1]

    @staticmethod
    def run(serve, connection):
        with connection:
            try:
                serve(connection)
            except (OSError, EOFError):
                pass

    def serve_http(self, connection):
        if connection.recv(3, socket.MSG_PEEK | socket.MSG_WAITALL) == b"PRI":
            return self.serve_http2(connection)
        reader = connection.makefile("rb")
        while head := read_head(reader):
            if b"\r\nupgrade: websocket" in head.lower():
                return self.serve_websocket(connection, head)
            number = re.search(rb"[?&]number=(\d+)", head)
            if not number:
                return
            read_content(reader, head)
            for part in self.corpus.exchanges[int(number[1])].response:
                connection.sendall(part)

    def serve_http2(self, connection):
        state = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        state.initiate_connection()
        connection.sendall(state.data_to_send())
        numbers = {}
        while data := connection.recv(65536):
            for event in state.receive_data(data):
                if isinstance(event, RequestReceived):
                    numbers[event.stream_id] = int(re.search(rb"[?&]number=(\d+)", dict(event.headers)[b":path"])[1])
                elif isinstance(event, DataReceived):
                    state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, StreamEnded):
                    exchange = self.corpus.exchanges[numbers[event.stream_id]]
                    state.send_headers(event.stream_id, exchange.response[0])
                    state.send_data(event.stream_id, exchange.response[1])
                    state.send_headers(event.stream_id, exchange.response_trailers, end_stream=True)
            connection.sendall(state.data_to_send())

    def serve_websocket(self, connection, head):
        number = int(re.search(rb"[?&]number=(\d+)", head)[1])
        answers = [answer for _, answer in self.corpus.conversations[number][1]]
        protocol = ServerProtocol(extensions=[ServerPerMessageDeflateFactory()])
        protocol.receive_data(head)
        protocol.send_response(protocol.accept(protocol.events_received()[0]))
        frames(connection, protocol, lambda count: answers[count - 1] if count else None)

    def serve_stream(self, connection):
        reader = connection.makefile("rb")
        stream = None
        for index, line in enumerate(iter(reader.readline, b"")):
            stream = stream or next(stream for stream in self.corpus.streams if stream[0][0].split()[1] == line.split()[1])
            connection.sendall(stream[index][1])


def read_head(reader):
    """Empty at the end of the connection."""
    head = b""
    while line := reader.readline():
        head += line
        if line in (b"\r\n", b"\n"):
            return head
    return b""


def read_content(reader, head):
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    if length:
        content = reader.read(int(length[1]))
        if len(content) < int(length[1]):
            raise EOFError
        return content
    if not re.search(rb"(?i)\r\ntransfer-encoding: chunked", head):
        return b""
    content = b""
    while size := int(reader.readline(), 16):
        content += reader.read(size)
        reader.readline()
    read_head(reader)
    return content


def frames(connection, protocol, answer):
    """Passes messages on until the connection closes. `answer`: of the number of messages that have come; None: nothing is sent."""
    received = []

    def say(message):
        if message is not None:
            (protocol.send_text if isinstance(message, str) else protocol.send_binary)(
                message.encode() if isinstance(message, str) else message)

    say(answer(0))
    while True:
        for data in protocol.data_to_send():
            if data:
                connection.sendall(data)
            else:
                connection.shutdown(socket.SHUT_WR)
        data = connection.recv(65536)
        if not data:
            return received
        protocol.receive_data(data)
        for event in protocol.events_received():
            if getattr(event, "opcode", None) in (Opcode.TEXT, Opcode.BINARY):
                received.append(event.data)
                reply = answer(len(received))
                if reply is None:
                    protocol.send_close(1000, "done")
                say(reply)


# The client


class Client:
    """Asks every exchange once. Raises where an answer cannot be read, or is that of another exchange."""

    def __init__(self, corpus, http_port, http2_port, tcp_port):
        self.corpus, self.http_port, self.http2_port, self.tcp_port = corpus, http_port, http2_port, tcp_port
        # The answers are read: by number, its status, fields and content.
        self.answers = {}

    @staticmethod
    def connect(port):
        connection = socket.create_connection(("127.0.0.1", port), timeout=50)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def run(self):
        connection = self.connect(self.http_port)
        for exchange in self.corpus.exchanges:
            if exchange.is_http2:
                continue
            if exchange.is_unanswered:
                self.abandon(exchange)
            else:
                self.ask(connection, exchange)
        connection.close()
        self.ask_http2()
        for number in range(len(self.corpus.conversations)):
            self.converse(number)
        for number, stream in enumerate(self.corpus.streams):
            self.stream(number, stream)

    def ask(self, connection, exchange):
        for part in exchange.request:
            if part:
                connection.sendall(part)
        response = http.client.HTTPResponse(connection, method="HEAD" if exchange.is_head else "GET")
        response.begin()
        body = response.read()
        self.answers[exchange.number] = (response.status, response.getheader("X-Number"), response.headers, body)
        response.close()

    def abandon(self, exchange):
        """Sends a request that is not answered, and waits until the other side has read it."""
        with self.connect(self.http_port) as connection:
            for part in exchange.request:
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    def ask_http2(self):
        with self.connect(self.http2_port) as connection:
            state = H2Connection(H2Configuration(header_encoding="latin-1"))
            state.initiate_connection()
            waiting = {}
            for exchange in self.corpus.exchanges:
                if exchange.is_http2:
                    stream = state.get_next_available_stream_id()
                    waiting[stream] = [exchange.number, None, b""]
                    state.send_headers(stream, exchange.request[0])
                    state.send_data(stream, exchange.request[1])
                    state.send_headers(stream, exchange.request_trailers, end_stream=True)
            while waiting:
                connection.sendall(state.data_to_send())
                data = connection.recv(65536)
                if not data:
                    raise EOFError("the HTTP/2 connection ended before its answers")
                for event in state.receive_data(data):
                    if isinstance(event, ResponseReceived):
                        waiting[event.stream_id][1] = dict(event.headers)
                    elif isinstance(event, DataReceived):
                        waiting[event.stream_id][2] += event.data
                        state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, StreamEnded):
                        number, fields, body = waiting.pop(event.stream_id)
                        self.answers[number] = (int(fields[":status"]), fields.get("x-number"), fields, body)
                    elif isinstance(event, (StreamReset, ConnectionTerminated)):
                        raise EOFError(f"HTTP/2: {event}")

    def converse(self, number):
        path, messages = self.corpus.conversations[number]
        with self.connect(self.http_port) as connection:
            protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{self.http_port}{path}"), extensions=[ClientPerMessageDeflateFactory()])
            protocol.send_request(protocol.connect())
            connection.sendall(b"".join(protocol.data_to_send()))
            while not protocol.events_received():
                data = connection.recv(1)
                if not data:
                    raise EOFError("the WebSocket handshake was not answered")
                protocol.receive_data(data)
                if protocol.handshake_exc:
                    raise InvalidHandshake(str(protocol.handshake_exc))
            received = frames(connection, protocol, lambda count: messages[count][0] if count < len(messages) else None)
            if len(received) != len(messages):
                raise EOFError(f"{len(received)} of {len(messages)} WebSocket messages came")

    def stream(self, number, stream):
        with self.connect(self.tcp_port) as connection:
            reader = connection.makefile("rb")
            for said, answer in stream:
                connection.sendall(said)
                line = reader.readline()
                if line[:3] != answer[:3]:
                    raise EOFError(f"stream {number} answered {line!r}")

    def problems(self, redacted):
        """What is wrong with the answers, a sentence each. `redacted`: they come from a redacted recording."""
        found, received = [], []
        for exchange in self.corpus.exchanges:
            if exchange.is_unanswered:
                continue
            status, number, fields, body = self.answers[exchange.number]
            line = exchange.request[0] if exchange.is_http2 else exchange.request[0].split(b"\r\n")[0]
            if number != str(exchange.number):
                found.append(f"{line!r}: {status}, the answer of {number}: {body[:300]!r}")
            received.append(body + str(fields).encode("latin-1", "replace"))
        if redacted:
            found += [f"the answers have the secret: {secret.place}" for secret in search(self.corpus, [b"\n".join(received)])]
        return found


# The search


def search(corpus, blobs):
    """The secrets that occur in some bytes."""
    with tempfile.NamedTemporaryFile() as patterns:
        forms = {form: secret for secret in corpus.secrets for form in secret.forms}
        patterns.write(b"\n".join(forms))
        patterns.flush()
        found = []
        for blob in blobs:
            hits = subprocess.run(["grep", "-aoFf", patterns.name], input=blob, stdout=subprocess.PIPE).stdout.split(b"\n")
            found += [forms[hit] for hit in set(hits) if hit]
    return [secret for secret in corpus.secrets if secret in found]


def strings(lines):
    """Every string in JSON Lines, as bytes: decoded bodies too."""
    found = []

    def visit(value):
        if isinstance(value, str):
            found.append(value.encode("utf-8", "surrogateescape"))
        elif isinstance(value, (list, dict)):
            for element in value.values() if isinstance(value, dict) else value:
                visit(element)
    for line in lines.splitlines():
        visit(json.loads(line))
    return b"\n".join(found)


def unpacked(content):
    """The bytes of a flow file, and those in its LZ4 frames as far as they are whole."""
    return [content, subprocess.run(["lz4", "-dc"], input=content, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout]
