"""Traffic of many kinds through the recorder, for Tests/Foreign/pcapng."""
import asyncio
import contextlib
import gzip
import os
import signal
import socket
import subprocess
import sys
import threading

# It is never set: to wait for what cannot be seen from here.
PAUSE = threading.Event()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port):
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        PAUSE.wait(0.05)
    sys.exit(f"pcapng: nothing listens on port {port}")


@contextlib.contextmanager
def program(*command, port=None):
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if port:
            wait_for(port)
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait()


def serve(handle):
    """A server of threads; returns its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=guarded, args=(handle, connection), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def guarded(handle, connection):
    with contextlib.suppress(OSError), connection:
        handle(connection)


# Servers

def read_head(file):
    lines = []
    while True:
        line = file.readline()
        if not line or line in (b"\r\n", b"\n"):
            return lines
        lines.append(line)


def read_content(file, lines):
    fields = dict(line.lower().strip().split(b": ", 1) for line in lines[1:] if b": " in line)
    if b"content-length" in fields:
        return file.read(int(fields[b"content-length"]))
    if fields.get(b"transfer-encoding") == b"chunked":
        content = b""
        while size := int(file.readline().split(b";")[0], 16):
            content += file.read(size)
            file.readline()
        read_head(file)
        return content
    return b""


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


ANSWERS = {
    b"/plain": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Odd:   spaced\t\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nhello",
    b"/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" + chunk(b"a" * 40_000) + chunk(b"end")
                 + b"0\r\nX-Sum: 1\r\n\r\n",
    b"/gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (
        len(gzip.compress(b"text " * 3000, mtime=0)), gzip.compress(b"text " * 3000, mtime=0)),
    b"/early": b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"/close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
    b"/empty": b"HTTP/1.1 204 No Content\r\n\r\n",
    b"/unchanged": b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
    b"/short": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this",
    b"/bytes": b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\nContent-Type: application/octet-stream\r\n\r\n" + bytes(300_000),
}


def http1(connection):
    file = connection.makefile("rb")
    while lines := read_head(file):
        method, target, _ = lines[0].split(b" ", 2)
        path = target.split(b"?")[0]
        if b"100-continue" in b"".join(lines).lower():
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        content = read_content(file, lines)
        if path == b"/echo":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
        elif path == b"/slow":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(1000))
            PAUSE.wait(3)
            return
        elif method == b"HEAD":
            connection.sendall(ANSWERS[path].split(b"\r\n\r\n")[0] + b"\r\n\r\n")
        else:
            connection.sendall(ANSWERS[path])
            if path in (b"/close", b"/short"):
                return


def greeting(connection):
    """A server that speaks first, and pushes."""
    connection.sendall(b"220 ready\r\n")
    for number in range(3):
        data = connection.recv(100)
        if not data:
            return
        connection.sendall(b"%d %s" % (number, data) + bytes(50_000))


def until_end(connection):
    """Answers when the client has closed its half."""
    size = 0
    while data := connection.recv(65536):
        size += len(data)
    connection.sendall(b"received %d\n" % size)


# Clients

def curl(*arguments):
    return subprocess.run(["curl", "-sS", "-o", "/dev/null", "--max-time", "20", *arguments], capture_output=True).returncode


def exchange(port, proxy, *, half=False):
    """Bytes through CONNECT."""
    with socket.create_connection(("127.0.0.1", proxy)) as connection:
        connection.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (port, port))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(1)
        if half:
            connection.sendall(b"x" * 100_000)
            connection.shutdown(socket.SHUT_WR)
        else:
            connection.recv(100)
            for _ in range(3):
                connection.sendall(b"more")
                PAUSE.wait(0.05)
        while connection.recv(65536):
            pass


def pipelined(port, proxy):
    with socket.create_connection(("127.0.0.1", proxy)) as connection:
        host = b"127.0.0.1:%d" % port
        connection.sendall(b"".join(b"GET http://%s/plain?%d HTTP/1.1\r\nHost: %s\r\n\r\n" % (host, n, host) for n in range(5)))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


async def chat(url, proxy):
    import websockets
    async with websockets.connect(url, proxy=proxy, max_size=None) as peer:
        for message in ("hello", "ümläut", b"\x00\x01", "x" * 70_000, bytes(1 << 20)):
            await peer.send(message)
            await peer.recv()
        await (await peer.ping())
        await peer.close(1000, "done")


async def chat_server(ready):
    import websockets

    async def echo(peer):
        async for message in peer:
            await peer.send(message)

    async with websockets.serve(echo, "127.0.0.1", 0, max_size=None) as server:
        ready(server.sockets[0].getsockname()[1])
        await asyncio.Future()


def start_chat_server():
    found = []
    done = threading.Event()
    threading.Thread(target=lambda: asyncio.run(chat_server(lambda port: (found.append(port), done.set()))), daemon=True).start()
    done.wait(10)
    return found[0]


def grpc_server():
    import grpc
    from concurrent import futures

    class Echo(grpc.GenericRpcHandler):
        def service(self, call):
            if call.method == "/t.Echo/Fail":
                return grpc.unary_unary_rpc_method_handler(lambda request, context: context.abort(grpc.StatusCode.NOT_FOUND, "no"))
            if call.method == "/t.Echo/Stream":
                return grpc.stream_stream_rpc_method_handler(lambda requests, context: (request for request in requests))
            return grpc.unary_unary_rpc_method_handler(lambda request, context: request)

    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def message(data):
    """A message of protobuf: field 1 with these bytes."""
    size, length = len(data), b""
    while size >= 128:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return b"\x0a" + length + bytes([size]) + data


def call_grpc(port):
    import grpc
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        unary = channel.unary_unary("/t.Echo/Unary")
        for number in range(5):
            unary(message(b"%d" % number * 1000))
        with contextlib.suppress(grpc.RpcError):
            channel.unary_unary("/t.Echo/Fail")(message(b"x"))
        list(channel.stream_stream("/t.Echo/Stream")(iter([message(b"a"), message(b"b" * 40_000), message(b"c")])))
        calls = [unary.future(message(b"parallel %d" % number)) for number in range(20)]
        for call in calls:
            call.result()


# Recordings

@contextlib.contextmanager
def recorder(tools, directory, name, *arguments):
    port = free_port()
    file = os.path.join(directory, name + ".mflow")
    command = [os.path.join(tools, "mitm-record"), "-q", "-w", file, "--confdir", os.path.join(directory, "conf"), "--insecure"]
    arguments = [argument.replace("@PORT", f"@{port}") for argument in arguments]
    with program(*command, *([] if "--mode" in arguments else ["-p", str(port)]), *arguments, port=port):
        yield port
        # Connections that the last client has closed are recorded.
        PAUSE.wait(0.5)


def record(tools, directory):
    """Records, and returns the names of the files."""
    os.environ["no_proxy"] = ""
    authority = os.path.join(directory, "conf", "mitm-ca-cert.pem")
    plain, greeter, counter = serve(http1), serve(greeting), serve(until_end)
    with recorder(tools, directory, "http1") as proxy:
        forward = ["-x", f"http://127.0.0.1:{proxy}", "--http1.1"]
        url = f"http://127.0.0.1:{plain}"
        for path in ANSWERS:
            curl(*forward, f"{url}{path.decode()}?q=%20x")
        curl(*forward, *(f"{url}/plain?{number}" for number in range(5)), "-p")
        curl(*forward, "-I", f"{url}/plain")
        curl(*forward, "-T", __file__, "-H", "Transfer-Encoding: chunked", f"{url}/echo")
        curl(*forward, "-d", "a=1&b=2", f"{url}/echo", "-H", "Expect: 100-continue")
        curl(*forward, "-d", "@" + sys.executable, f"{url}/echo")
        curl(*forward, "--max-time", "1", f"{url}/slow")
        curl(*forward, "http://127.0.0.1:1/refused")
        pipelined(plain, proxy)
    with recorder(tools, directory, "tcp") as proxy:
        exchange(greeter, proxy)
        exchange(counter, proxy, half=True)
    chats = start_chat_server()
    with recorder(tools, directory, "websocket") as proxy:
        asyncio.run(chat(f"ws://127.0.0.1:{chats}/", f"http://127.0.0.1:{proxy}"))
        asyncio.run(chat(f"ws://127.0.0.1:{chats}/second", f"http://127.0.0.1:{proxy}"))
    server, port = grpc_server()
    with recorder(tools, directory, "grpc", "--mode", f"reverse:h2c://127.0.0.1:{port}@PORT") as proxy:
        call_grpc(proxy)
    server.stop(0)
    yield from (os.path.join(directory, name + ".mflow") for name in ("http1", "tcp", "websocket", "grpc"))
    yield from record_http2(tools, directory, authority)


def record_http2(tools, directory, authority):
    """nghttpd as the server: TLS with ALPN, prior knowledge, and the upgrade from HTTP/1."""
    root = os.path.join(directory, "root")
    os.makedirs(root)
    for name, size in (("small", 10), ("large", 1 << 20)):
        with open(os.path.join(root, name), "wb") as file:
            file.write(os.urandom(size // 2) + bytes(size // 2))
    key, certificate = os.path.join(directory, "key.pem"), os.path.join(directory, "certificate.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, stderr=subprocess.DEVNULL)
    secure, clear, upgrading = free_port(), free_port(), free_port()
    backend = serve(http1)
    with program("nghttpd", "-d", root, "--trailer", "x-sum: 1", str(secure), key, certificate, port=secure), \
            program("nghttpd", "-d", root, "--no-tls", str(clear), port=clear), \
            program("nghttpx", "-f", f"127.0.0.1,{upgrading};no-tls", "-b", f"127.0.0.1,{backend}", "--workers", "1", port=upgrading):
        with recorder(tools, directory, "http2") as proxy:
            forward = ["-x", f"http://127.0.0.1:{proxy}", "--cacert", authority]
            curl(*forward, "--http2", f"https://localhost:{secure}/small", f"https://localhost:{secure}/large", "-Z")
            curl(*forward, "--http2", "-T", os.path.join(root, "large"), f"https://localhost:{secure}/upload")
            curl(*forward, "--http2", "--max-filesize", "100", f"https://localhost:{secure}/large")
        with recorder(tools, directory, "h2load", "--mode", f"reverse:https://127.0.0.1:{secure}@PORT") as proxy:
            subprocess.run(["h2load", "-n", "300", "-c", "3", "-m", "20", f"https://127.0.0.1:{proxy}/small"],
                           stdout=subprocess.DEVNULL)
        with recorder(tools, directory, "upgrade", "--mode", f"reverse:http://127.0.0.1:{upgrading}@PORT") as proxy:
            curl("--http2", f"http://127.0.0.1:{proxy}/plain", f"http://127.0.0.1:{proxy}/bytes")
            curl("--http2-prior-knowledge", f"http://127.0.0.1:{proxy}/plain")
        with recorder(tools, directory, "clear", "--mode", f"reverse:h2c://127.0.0.1:{clear}@PORT") as proxy:
            curl("--http2-prior-knowledge", f"http://127.0.0.1:{proxy}/small", f"http://127.0.0.1:{proxy}/large")
            curl("--http1.1", f"http://127.0.0.1:{proxy}/small", f"http://127.0.0.1:{proxy}/large")
    yield from (os.path.join(directory, name + ".mflow") for name in ("http2", "h2load", "upgrade", "clear"))


def record_with_packets(tools, directory):
    """HTTP/2 through the recorder while dumpcap captures; returns the packets, the secrets and the recording."""
    captured, secrets = os.path.join(directory, "packets.pcapng"), os.path.join(directory, "secrets.txt")
    key, certificate = os.path.join(directory, "key.pem"), os.path.join(directory, "certificate.pem")
    secure = free_port()
    os.environ["SSLKEYLOGFILE"] = secrets
    try:
        with program("nghttpd", "-d", os.path.join(directory, "root"), str(secure), key, certificate, port=secure), \
                recorder(tools, directory, "secrets", "--mode", f"reverse:https://127.0.0.1:{secure}@PORT") as proxy:
            # The recorder's secrets are enough: those of the clients are not written.
            del os.environ["SSLKEYLOGFILE"]
            with program("dumpcap", "-q", "-i", "lo", "-f", f"tcp port {proxy}", "-w", captured):
                for _ in range(200):
                    if os.path.exists(captured) and os.path.getsize(captured):
                        break
                    PAUSE.wait(0.05)
                curl("--http2", "-k", f"https://127.0.0.1:{proxy}/small", f"https://127.0.0.1:{proxy}/large?once")
                PAUSE.wait(1)
    finally:
        os.environ.pop("SSLKEYLOGFILE", None)
    return captured, secrets, os.path.join(directory, "secrets.mflow")
