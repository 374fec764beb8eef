"""A server that reads and discards everything: the far end of the rows on TCP and WebSocket. Its argument is the port."""
import base64
import hashlib
import socket
import sys
import threading


def serve(connection):
    first = connection.recv(65536)
    if first.startswith(b"GET "):
        while b"\r\n\r\n" not in first:
            first += connection.recv(65536)
        key = next(line.split(b":", 1)[1].strip() for line in first.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
    into = bytearray(1 << 20)
    while connection.recv_into(into):
        pass
    connection.close()


listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
