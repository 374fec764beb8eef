"""The tools as processes, and servers that the tests need. Each is a context manager that ends what it has started."""
import contextlib
import http.client
import os
import re
import socket
import socketserver
import subprocess
import threading


def tool(name):
    return os.path.join(os.environ["MITM_TOOLS"], name)


class Program:
    """A running tool. `found` are the first matches of patterns in the lines of the stream that is read."""

    def __init__(self, command, stream, *patterns):
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.DEVNULL, **{stream: subprocess.PIPE})
        self.output = getattr(self.process, stream)
        self.lines = []
        self.found = [None] * len(patterns)
        while None in self.found:
            line = self.output.readline()
            if not line:
                raise AssertionError(f"{command[0]} ended with status {self.process.wait()}: {''.join(self.lines)}")
            self.lines.append(line)
            self.found = [found or re.search(pattern, line) for found, pattern in zip(self.found, patterns)]
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.output), daemon=True)
        self.reader.start()

    def end(self):
        """Ends the tool by SIGTERM, and returns its status."""
        self.process.terminate()
        status = self.process.wait(timeout=20)
        self.reader.join()
        self.output.close()
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.end()


ADDRESS = r"(http://127\.0\.0\.1:(\d+)/)#k=(\w+)"


class View(Program):
    """A running mitm-view."""

    def __init__(self, *arguments):
        super().__init__([tool("mitm-view"), *map(str, arguments)], "stdout", ADDRESS)
        self.address = self.found[0].group(0)
        self.origin, self.port, self.secret = self.found[0].group(1), int(self.found[0].group(2)), self.found[0].group(3)

    def call(self, method, target, body=None, **fields):
        """Status and content of the answer to a call of the interface; a field that is None is left out."""
        headers = {"Authorization": f"Bearer {self.secret}", **{name.replace("_", "-"): value for name, value in fields.items()}}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, target, body=body, headers={name: value for name, value in headers.items() if value is not None})
            answer = connection.getresponse()
            return answer.status, answer.read()


class Recorder(Program):
    """A running mitm-record, a proxy for clients."""

    def __init__(self, path, *arguments, mode="regular"):
        command = [tool("mitm-record"), "-w", str(path), "--mode", f"{mode}@127.0.0.1:0", "--confdir", f"{path}.conf", *arguments]
        super().__init__(command, "stderr", r"listening on (\S+)", *([ADDRESS] if "--view" in arguments else []))
        self.address = self.found[0].group(1)


class Trap(socketserver.ThreadingTCPServer):
    """A server on loopback that nothing may connect to."""
    daemon_threads = True

    def __init__(self):
        self.requests = []
        super().__init__(("127.0.0.1", 0), None)
        self.address = "127.0.0.1:%d" % self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, request, client_address):
        with contextlib.suppress(OSError):
            request.settimeout(20)
            self.requests.append(request.recv(4096).split(b"\r\n")[0].decode(errors="replace"))
            request.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


def tunnel(proxy, authority):
    """A socket that a proxy has connected to a server."""
    connected = socket.create_connection(proxy.rsplit(":", 1), timeout=20)
    connected.sendall(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        data = connected.recv(1)
        if not data:
            break
        answer += data
    if not answer.startswith(b"HTTP/1.1 200"):
        raise AssertionError(f"the proxy refuses a tunnel: {answer!r}")
    return connected


def output(name, *arguments):
    """What a tool prints."""
    return subprocess.run([tool(name), *map(str, arguments)], check=True, capture_output=True, text=True).stdout
