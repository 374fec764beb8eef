"""Makes shop.mflow, the recording that tools/quickstart serves: a small shop, with one request for each of its pages.

usage: make.py DIRECTORY-OF-THE-TOOLS     writes shop.mflow beside this file
"""
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

ITEMS = [{"id": number, "name": name, "price": price, "stock": 3 * number} for number, (name, price) in enumerate(
    [("tea pot", 24.5), ("tea cup", 6), ("sugar bowl", 11.25), ("milk jug", 9.9), ("cake stand", 31), ("spoon", 2.75)], 1)]


class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "shop/1", ""

    def log_message(self, *arguments):
        pass

    def answer(self, status, content, kind="application/json", **fields):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/":
            self.answer(200, b"<!doctype html><title>Shop</title><h1>Everything for tea</h1>", "text/html; charset=utf-8",
                        Set_Cookie="visit=1; Path=/; Expires=Wed, 01 Dec 2027 10:00:00 GMT")
        elif self.path.startswith("/api/items?page="):
            page = int(self.path[-1])
            self.answer(200, {"page": page, "items": ITEMS[3 * page - 3:3 * page]})
        elif self.path == "/teapot":
            self.answer(418, b"short and stout\n", "text/plain")
        elif self.path == "/old":
            self.answer(302, b"", "text/plain", Location="/")
        elif self.path == "/events":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Trailer", "X-Events")
            self.end_headers()
            for number, pause in enumerate([0.05, 0.2, 0.1, 0.3], 1):
                time.sleep(pause)
                event = b"data: {\"sold\":%d}\n\n" % number
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                self.wfile.flush()
            self.wfile.write(b"0\r\nX-Events: 4\r\n\r\n")

    def do_POST(self):
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(201, {"order": 7, "items": order["items"], "total": sum(item["price"] for item in ITEMS if item["id"] in order["items"])})


def main():
    tools = sys.argv[1]
    archive = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shop.mflow")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as work:
        recorder = subprocess.Popen(
            [os.path.join(tools, "mitm-record"), "-w", archive, "--truncate", "--confdir", work, "--keep-host-header", "-p", "0",
             "--mode", "reverse:http://127.0.0.1:%d" % server.server_address[1]], stderr=subprocess.PIPE, text=True)
        base = None
        for line in recorder.stderr:
            if found := re.search(r"listening on (\S+)", line):
                base = "http://" + found.group(1)
                break
        for arguments in [["/"], ["/api/items?page=1"], ["/api/items?page=2"], ["/teapot"], ["/old"], ["/events"],
                          ["/api/orders", "-H", "Content-Type: application/json", "-d", '{"items":[1,2],"gift":true}']]:
            subprocess.run(["curl", "-sS", "-o", os.devnull, "-A", "curl", "-H", "Host: shop.example", base + arguments[0], *arguments[1:]], check=True)
        recorder.send_signal(signal.SIGTERM)
        recorder.wait(10)


main()
