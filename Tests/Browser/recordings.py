"""Recordings with chosen contents, as HAR and as flow files of mitmproxy, which mitm-view reads like its own."""
import datetime
import json

BEGIN = datetime.datetime(2026, 1, 1, 10, tzinfo=datetime.timezone.utc)


def entry(number, url, *, status=200, reason="OK", content="", kind="text/plain", method="GET", fields=(), response_fields=(), body=None, wait=3, **more):
    """A request and its response, the number-th second after ten o'clock. `wait`: milliseconds."""
    headers = [{"name": "Host", "value": "shop.example"}, *({"name": name, "value": value} for name, value in fields)]
    answered = [{"name": "Content-Type", "value": kind}, *({"name": name, "value": value} for name, value in response_fields)]
    request = {"method": method, "url": url, "httpVersion": "HTTP/1.1", "headers": headers, "queryString": [], "cookies": [], "headersSize": -1,
               "bodySize": 0 if body is None else len(body.encode())}
    if body is not None:
        request["postData"] = {"mimeType": "application/json", "text": body}
    return {
        "startedDateTime": (BEGIN + datetime.timedelta(seconds=number)).isoformat(), "time": wait + 2, "request": request,
        "response": {"status": status, "statusText": reason, "httpVersion": "HTTP/1.1", "cookies": [], "redirectURL": "", "headers": answered,
                     "content": {"size": len(content.encode()), "mimeType": kind, "text": content}, "headersSize": -1, "bodySize": len(content.encode())},
        "cache": {}, "timings": {"send": 0, "wait": wait, "receive": 2}, **more,
    }


def har(path, entries):
    path.write_text(json.dumps({"log": {"version": "1.2", "creator": {"name": "test", "version": "1"}, "entries": entries}}))
    return path


def many(path, count):
    """Flows of two hosts, of which slow.example is slow: every ninth is a 404, the last one has failed."""
    def one(number):
        is_slow = number % 50 == 7
        return entry(number, f"http://{'slow' if is_slow else 'shop'}.example/item/{number}", status=404 if number % 9 == 0 else 200,
                     content=f"item {number}\n", wait=900 + number if is_slow else 5 + number % 90)
    failed = entry(count - 1, "http://shop.example/checkout", status=500, content='{"error":"coupon service timed out"}', kind="application/json", method="POST")
    return har(path, [one(number) for number in range(count - 1)] + [failed])


class Hostile:
    """Text that does something as soon as it becomes markup, a script, an address or a style. `targets`: addresses that it asks."""

    def __init__(self, *targets):
        ask = ";".join(f"fetch('http://{target}/fetch');new Image().src='http://{target}/image'" for target in targets)
        self.script = f"document.title='owned';window.owned=1;alert(1);{ask}"
        tags = "".join(
            f"<link rel=stylesheet href=http://{target}/style><img src=http://{target}/img><iframe src=http://{target}/frame></iframe>"
            f"<style>@import 'http://{target}/import';body{{background:url(http://{target}/background)}}</style>"
            f"<meta http-equiv=refresh content='0;url=http://{target}/refresh'><form action=http://{target}/form><input autofocus onfocus=submit()></form>"
            for target in targets)
        self.markup = f"\"'></title></textarea></template><script>{self.script}</script><img src=x onerror=\"{self.script}\"><svg onload=\"{self.script}\">{tags}"
        self.address = f"javascript:{self.script}"
        self.svg = f"<svg xmlns='http://www.w3.org/2000/svg' onload=\"{self.script}\"><script>{self.script}</script><image href='http://{targets[0]}/svg'/></svg>"
        # Characters that turn text around, end a line, sound a bell or begin an escape sequence.
        self.turned = "\u202eabc\u2066def\u2069\u200f\u061c\u0007\u001b[31m\u009b31m\u2028\u0000\u007f\ufeff"
        self.all = self.markup + self.turned

    forbidden = "\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\u0000\u0007\u001b\u009b\u007f"

    def entries(self):
        """Each field of a flow, and each kind of content, with such text in it."""
        tricks = [("X-Markup", self.markup), (self.turned.replace("\u0000", "") + self.markup, "name"), ("X-Turned", self.turned),
                  ("Cookie", f"{self.markup}={self.turned}"), ("Referer", self.address)]
        page = f"<!doctype html><title>x</title>{self.markup}"
        def socket(message):
            return [{"type": kind, "time": 1767261600.5 + n, "opcode": 1, "data": message} for n, kind in enumerate(["send", "receive"])]
        return [
            entry(1, f"http://shop.example/{self.markup}?{self.all}", reason=self.markup, content=page, kind="text/html", fields=tricks, response_fields=tricks),
            entry(2, "http://shop.example/image.svg", content=self.svg, kind="image/svg+xml"),
            entry(3, "http://shop.example/away", status=302, content=self.address, kind=self.markup, response_fields=[("Location", self.address)]),
            entry(4, "http://shop.example/json", content=json.dumps({self.markup: [self.all, {self.turned: self.address}]}), kind="application/json",
                  method="POST", body=json.dumps({"query": "query { a }", "variables": {self.markup: self.all}})),
            entry(5, "http://shop.example/style.css", content=f"@import 'x';{self.all}", kind="text/css"),
            entry(6, "http://shop.example/app.js", content=f"{self.script}/*{self.all}*/", kind="text/javascript"),
            entry(7, f"http://{self.markup}.example/", method=self.markup, content=self.turned, kind="text/plain"),
            entry(8, "http://shop.example/picture.png", content=self.svg, kind="image/png"),
            entry(9, "http://shop.example/live", status=101, reason=self.all, kind="text/plain", _resourceType="websocket",
                  _webSocketMessages=socket(self.all) + socket(json.dumps({self.markup: self.turned})), fields=[("Upgrade", "websocket")]),
            entry(10, "http://shop.example/failed", status=0, reason="", _error=self.all),
            entry(11, "http://shop.example/document.pdf", content="%PDF-1.7" + self.all, kind="application/pdf"),
            entry(12, "http://shop.example/xml", content=f"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY e SYSTEM 'http://x/'>]><a>{self.markup}&e;</a>",
                  kind="application/xml"),
        ]
