"""A mail server that knows STARTTLS, and a client that uses it. Usage: server cert.pem key.pem | client PORT ca.pem"""
import smtplib
import socket
import ssl
import sys


def server(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    print("listening on", listener.getsockname()[1], file=sys.stderr, flush=True)
    connection, _ = listener.accept()
    connection.sendall(b"220 here\r\n")
    pending, in_data = b"", False
    while True:
        more = connection.recv(4096)
        if not more:
            return
        pending += more
        while b"\r\n" in pending:
            line, pending = pending.split(b"\r\n", 1)
            word = line.split(b" ")[0].upper()
            if in_data:
                if line == b".":
                    in_data = False
                    connection.sendall(b"250 kept\r\n")
            elif word == b"EHLO":
                connection.sendall(b"250-here\r\n250 STARTTLS\r\n")
            elif word == b"STARTTLS":
                connection.sendall(b"220 go on\r\n")
                connection = context.wrap_socket(connection, server_side=True)
            elif word == b"DATA":
                in_data = True
                connection.sendall(b"354 say it\r\n")
            elif word == b"QUIT":
                connection.sendall(b"221 bye\r\n")
                connection.close()
                return
            else:
                connection.sendall(b"250 fine\r\n")


def client(port, authority):
    mail = smtplib.SMTP("localhost", port)
    mail.starttls(context=ssl.create_default_context(cafile=authority))
    mail.sendmail("a@example", "b@example", "Subject: t\r\n\r\na secret in TLS")
    mail.quit()
    print("sent")


if sys.argv[1] == "server":
    server(*sys.argv[2:])
else:
    client(int(sys.argv[2]), sys.argv[3])
