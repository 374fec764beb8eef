#!/usr/bin/env python3
"""Asks an origin with httpx over HTTP/2 and prints what came, one JSON object for each request.

usage: httpx_client.py BASE [AUTHORITY]    without TLS HTTP/2 is spoken with prior knowledge
"""

import asyncio
import hashlib
import json
import ssl
import sys

import httpx

REQUESTS = [
    ("GET", "/a.json", {}, None),
    ("HEAD", "/a.json", {}, None),
    ("GET", "/large", {}, None),
    ("GET", "/missing", {"x-field": "1" * 4000}, None),
    ("GET", "/redirect", {}, None),
    ("GET", "/empty", {}, None),
    ("POST", "/length", {}, b"x" * 1_000_000),
    ("GET", "/large", {"range": "bytes=1000-1999"}, None),
    ("GET", "/a.json?q=%C3%A4&r=a%20b", {"cookie": "a=1; b=2"}, None),
]


def told(response):
    headers = sorted([key, value] for key, value in response.headers.items() if key != "date")
    return json.dumps({
        "request": f"{response.request.method} {response.request.url.raw_path.decode()}", "version": response.http_version,
        "status": response.status_code, "headers": headers, "size": len(response.content),
        "hash": hashlib.sha256(response.content).hexdigest()[:16],
    }, sort_keys=True)


async def ask(base, authority):
    verify = ssl.create_default_context(cafile=authority) if authority else True
    async with httpx.AsyncClient(http1=bool(authority), http2=True, verify=verify, timeout=10, trust_env=False) as client:
        for method, path, headers, content in REQUESTS:
            # Redirections tell of the port that was asked.
            response = await client.request(method, base + path, headers={"host": "origin.example", **headers}, content=content)
            print(told(response))
        responses = await asyncio.gather(*(client.get(f"{base}/a.json?{number}") for number in range(50)))
        for response in responses:
            print(told(response))


asyncio.run(ask(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
