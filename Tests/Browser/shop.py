"""A small shop: the servers of several hosts, reached as an HTTP proxy so that their names need no DNS, and a customer who visits it.

usage: shop.py DIRECTORY-OF-THE-TOOLS FILE     records a visit to a flow file
"""
import http.client
import http.server
import json
import os
import struct
import sys
import threading
import urllib.parse
import zlib

from websockets.frames import Opcode
from websockets.server import ServerProtocol
from websockets.sync.client import connect

import programs

ITEMS = [{"id": number, "name": name, "price": price, "stock": 3 * number} for number, (name, price) in enumerate(
    [("tea pot", 24.5), ("tea cup", 6), ("sugar bowl", 11.25), ("milk jug", 9.9), ("cake stand", 31), ("spoon", 2.75)], 1)]
SLOW_HOST, SLOW_SECONDS = "prices.example", 0.25
FAILURE = {"error": "coupon service timed out", "coupon": "TEA10", "retry": False}
CART = {"items": [1, 2, 2], "coupon": "TEA10", "note": "it's a gift"}


def png(red, green, blue, size=48):
    """A square of one colour."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    row = b"\0" + bytes((red, green, blue)) * size
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(row * size)) \
        + chunk(b"IEND", b"")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "shop/1", ""
    wbufsize = 65536  # a response is one segment

    def log_message(self, *arguments):
        pass

    def answer(self, status, content=b"", kind="application/json", **fields):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        if status not in (204, 304):
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status not in (204, 304):
            self.wfile.write(body)

    def do_CONNECT(self):
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        host, path = self.headers["Host"].split(":")[0], url.path
        if self.headers.get("Upgrade") == "websocket":
            self.talk()
        elif host == SLOW_HOST:
            threading.Event().wait(SLOW_SECONDS)
            self.answer(200, {"item": path.rsplit("/", 1)[-1], "price": 6, "currency": "EUR"})
        elif host == "images.example":
            number = sum(path.encode()) % 200
            self.answer(304) if self.headers.get("If-None-Match") else self.answer(200, png(number, 150, 250 - number), "image/png", ETag='"v1"')
        elif path == "/":
            self.answer(200, b"<!doctype html><title>Shop</title><h1>Everything for tea</h1>" + b"<p>A tea pot</p>" * 60, "text/html; charset=utf-8",
                        Set_Cookie="visit=1; Path=/; HttpOnly")
        elif path.startswith("/static/"):
            self.answer(200, b"main { display: grid; gap: 1rem }\n" * 90, "text/css" if path.endswith("css") else "text/javascript")
        elif path == "/api/items":
            self.answer(200, {"items": ITEMS, "next": None})
        elif path.startswith("/old"):
            self.answer(301, b"", "text/html", Location="/")
        else:
            self.answer(404, {"error": "no such page"})

    def do_POST(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(content)
        path = urllib.parse.urlsplit(self.path).path
        if path == "/checkout":
            self.answer(500, FAILURE, X_Request_Id="c41c9a2e")
        elif path == "/api/cart":
            self.answer(201, {"cart": 7, "items": json.loads(content)["items"]})
        else:
            self.answer(204)

    def talk(self):
        """A WebSocket that tells how many of each item there are."""
        protocol = ServerProtocol()
        lines = [f"GET {urllib.parse.urlsplit(self.path).path} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers.items())]
        protocol.receive_data("\r\n".join(lines + ["", ""]).encode())
        protocol.send_response(protocol.accept(protocol.events_received()[0]))
        self.close_connection = True
        while True:
            for data in protocol.data_to_send():
                self.wfile.write(data)
            self.wfile.flush()
            if protocol.close_expected():
                return
            data = self.rfile.read1(65536)
            if not data:
                return
            protocol.receive_data(data)
            for frame in protocol.events_received():
                if frame.opcode == Opcode.TEXT:
                    for answer in self.stock(json.loads(frame.data)):
                        protocol.send_text(json.dumps(answer).encode())

    @staticmethod
    def stock(message):
        if "subscribe" in message:
            return [{"item": item["name"], "stock": item["stock"]} for item in ITEMS if item["id"] in message["subscribe"]]
        item = ITEMS[message["reserve"] - 1]
        if message["count"] > item["stock"]:
            return [{"error": "SOLD_OUT", "item": item["name"], "stock": item["stock"], "wanted": message["count"]}]
        return [{"reserved": message["count"], "item": item["name"]}]


class Shop(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.received = []
        self.address = "127.0.0.1:%d" % self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


def visit(proxy):
    """A customer looks around, compares prices, reserves and orders."""
    agent = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Shop/1.0", "Accept": "*/*"}
    connections = {}

    def ask(method, url, content=None, **fields):
        host = urllib.parse.urlsplit(url).netloc
        connection = connections.setdefault(host, http.client.HTTPConnection(*proxy.rsplit(":", 1), timeout=20))
        body = None if content is None else json.dumps(content).encode()
        headers = agent | ({"Content-Type": "application/json"} if content is not None else {}) | {n.replace("_", "-"): v for n, v in fields.items()}
        connection.request(method, url, body=body, headers=headers)
        connection.getresponse().read()

    ask("GET", "http://shop.example/")
    for name in ["main.css", "main.js", "cart.js"]:
        ask("GET", f"http://shop.example/static/{name}")
    for item in ITEMS:
        ask("GET", f"http://images.example/{item['name'].replace(' ', '-')}.png")
    ask("POST", "http://metrics.example/v1/events", {"event": "visit"})
    ask("GET", "http://shop.example/api/items?page=1")
    for item in ITEMS[:3]:
        ask("GET", f"http://{SLOW_HOST}/eur/{item['id']}")
    ask("GET", "http://shop.example/old/offers")
    ask("GET", "http://shop.example/offers")
    for item in ITEMS[:3]:
        ask("GET", f"http://images.example/{item['name'].replace(' ', '-')}.png", If_None_Match='"v1"')
    with connect("ws://stock.example/live", sock=programs.tunnel(proxy, "stock.example:80"), compression=None) as stock:
        stock.send(json.dumps({"subscribe": [1, 2, 6]}))
        for _ in range(3):
            stock.recv(timeout=20)
        for item, count in [(2, 2), (1, 4)]:
            stock.send(json.dumps({"reserve": item, "count": count}))
            stock.recv(timeout=20)
    ask("POST", "http://shop.example/api/cart", {"items": CART["items"]}, Cookie="visit=1")
    ask("POST", "http://metrics.example/v1/events", {"event": "order"})
    ask("POST", "http://shop.example/checkout", CART, Cookie="visit=1", Authorization="Bearer tea-4711")
    ask("POST", "http://metrics.example/v1/events", {"event": "failure"})
    ask("GET", "http://shop.example/api/items?page=2", Cookie="visit=1")
    for connection in connections.values():
        connection.close()


def record(path):
    """Records a visit by mitm-record."""
    with Shop() as shop, programs.Recorder(path, mode=f"upstream:http://{shop.address}") as recorder:
        visit(recorder.address)
        if recorder.end() != 0:
            raise AssertionError("".join(recorder.lines))


if __name__ == "__main__":
    os.environ["MITM_TOOLS"] = sys.argv[1]
    record(sys.argv[2])
