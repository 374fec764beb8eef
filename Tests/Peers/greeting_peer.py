"""A server that speaks first as soon as its TLS stands, and a client that listens before it says anything.
Usage: server cert.pem key.pem 1.2|1.3 goes-on|closes [plain] | client PROXY SERVER-PORT ca.pem connect|socks5|direct [plain]

`plain`: the conversation begins in the clear (ManageSieve): the server speaks again, unasked, as soon as TLS stands."""
import socket
import ssl
import sys
import threading

GREETING = b"* OK IMAP ready\r\n"
BUSY = b"421 busy\r\n"


def serve(connection, context, closes, plain):
    try:
        if plain:
            connection.sendall(b"OK before\r\n")
            connection.makefile("rb", buffering=0).readline()
            connection.sendall(b"OK begin\r\n")
        connection = context.wrap_socket(connection, server_side=True)
        connection.sendall(BUSY if closes else GREETING)
        if not closes:
            line = connection.recv(4096)
            connection.sendall(b"BYE " + line)
        connection.unwrap().close()
    except OSError as error:
        print("server:", error, file=sys.stderr, flush=True)


def server(certificate, key, version, behaviour, plain=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.maximum_version = context.minimum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
    listener = socket.create_server(("127.0.0.1", 0))
    print("listening on", listener.getsockname()[1], file=sys.stderr, flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, context, behaviour == "closes", bool(plain)), daemon=True).start()


def client(proxy, port, authority, way, plain=False):
    connection = socket.create_connection(("127.0.0.1", proxy), timeout=20)
    if way == "connect":
        connection.sendall(b"CONNECT localhost:%d HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % (port, port))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
    elif way == "socks5":
        connection.sendall(b"\x05\x01\x00")
        connection.recv(2, socket.MSG_WAITALL)
        connection.sendall(b"\x05\x01\x00\x03\x09localhost" + port.to_bytes(2, "big"))
        connection.recv(10, socket.MSG_WAITALL)
    if plain:
        lines = connection.makefile("rb", buffering=0)
        lines.readline()
        connection.sendall(b"STARTTLS\r\n")
        lines.readline()
    context = ssl.create_default_context(cafile=authority)
    connection = context.wrap_socket(connection, server_hostname="localhost")
    lines = connection.makefile("rb")
    first = lines.readline()
    print(first.decode().strip())
    if first == GREETING:
        connection.sendall(b"a LOGOUT\r\n")
    print(lines.read().decode().strip())


if sys.argv[1] == "server":
    server(*sys.argv[2:])
else:
    client(int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
