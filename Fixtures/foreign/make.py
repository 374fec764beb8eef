#!/usr/bin/env python3
"""Makes the fixtures of this directory. The old versions of mitmproxy's flow format are written here, as those versions did; with
mitmproxy installed, `make.py newest` writes newest.mitm by mitmproxy's own writer."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
KEEPS_TEXT = True


def net(value):
    if value is None:
        payload, tag = b"", b"~"
    elif isinstance(value, bool):
        payload, tag = (b"true" if value else b"false"), b"!"
    elif isinstance(value, int):
        payload, tag = b"%d" % value, b"#"
    elif isinstance(value, float):
        payload, tag = repr(value).encode(), b"^"
    elif isinstance(value, str):
        payload, tag = value.encode(), (b";" if KEEPS_TEXT else b",")
    elif isinstance(value, bytes):
        payload, tag = value, b","
    elif isinstance(value, (list, tuple)):
        payload, tag = b"".join(map(net, value)), b"]"
    else:
        # Entries are in reverse order.
        payload, tag = b"".join(net(k) + net(v) for k, v in reversed(value.items())), b"}"
    return b"%d:%s%s" % (len(payload), payload, tag)


FLOW = "11111111-2222-4333-8444-555555555555"
START = 1500000000.25


def request(**more):
    return dict(
        method=b"GET", scheme=b"https", host="example.org", port=443, path=b"/a?b=c",
        headers=[[b"Host", b"example.org"], [b"X-Twice", b"1"], [b"x-twice", b"2"]], content=b"",
        timestamp_start=START + 0.5, timestamp_end=START + 0.75, **more)


def response(status="status_code", reason="reason", **more):
    return dict(headers=[[b"Content-Type", b"text/plain"]], content=b"hello",
                timestamp_start=START + 1.0, timestamp_end=START + 1.25, **{status: 200, reason: b"Fine"}, **more)


def nested(address):
    return dict(address=address, use_ipv6=False)


def flow(version, client, server, request, response, **more):
    return dict(version=version, type="http", id=FLOW, error=None, client_conn=client, server_conn=server, intercepted=False,
                request=request, response=response, **more)


CLIENT = ["192.0.2.1", 50000]
SERVER = ["example.org", 443]
PEER = ["192.0.2.2", 443]
LOCAL = ["192.0.2.3", 50001]


def times(prefix):
    return {"timestamp_start": START, "timestamp_end": None, f"timestamp_{prefix}_setup": START + 0.125}


def old(version, **address):
    """Versions 0.11 to 5: names with ssl."""
    client = dict(address=nested(CLIENT) if version[0] == 0 else CLIENT, clientcert=None, ssl_established=True, **times("ssl"))
    server = dict(address=nested(SERVER) if version[0] == 0 else SERVER, cert=None, sni="example.org", ssl_established=True,
                  source_address=nested(LOCAL) if version[0] == 0 else LOCAL, timestamp_tcp_setup=START + 0.0625,
                  via=None, **times("ssl"), **address)
    return client, server


def tls(names, **more):
    """Versions 6 to 20: names with tls."""
    return dict(tls_established=True, tls_version="TLSv1.3", **{names: "TLS_AES_128_GCM_SHA256"}, **times("tls"), **more)


def write(name, *flows):
    with open(os.path.join(HERE, name), "wb") as file:
        for one in flows:
            file.write(net(one))


def versions():
    global KEEPS_TEXT
    KEEPS_TEXT = False
    client, server = old([0, 11])
    write("version-0.11.mitm", flow([0, 11, 3], client, server, request(httpversion=[1, 1], form_in="relative", form_out="relative",
          is_replay=False), response("code", "msg", httpversion=[1, 1])))
    KEEPS_TEXT = True
    client, server = old([0, 18], ip_address=nested(PEER))
    write("version-0.18.mitm", flow([0, 18, 2], client, server, request(http_version=b"HTTP/1.1", first_line_format="relative",
          is_replay=False), response(http_version=b"HTTP/1.1"), marked=True))
    client, server = old([4], ip_address=PEER)
    write("version-4.mitm", flow(4, client, server, request(http_version=b"HTTP/1.1", first_line_format="relative", is_replay=False),
          response(http_version=b"HTTP/1.1"), marked=False, metadata={}, mode="regular"))

    def connections(cipher, alpn, is_new=False, **more):
        client = tls(cipher, id="aaaaaaaa-0000-4000-8000-000000000001", mitmcert=None, sni="example.org", **{alpn: b"http/1.1"}, **more)
        server = tls(cipher, id="aaaaaaaa-0000-4000-8000-000000000002", sni="example.org", address=SERVER, via=None,
                     timestamp_tcp_setup=START + 0.0625, **{alpn: b"http/1.1"}, **more)
        client |= dict(peername=CLIENT, sockname=["", 0]) if is_new else dict(address=CLIENT)
        server |= dict(peername=PEER, sockname=LOCAL) if is_new else dict(ip_address=PEER, source_address=LOCAL)
        return client, server

    client, server = connections("cipher_name", "alpn_proto_negotiated")
    message = dict(http_version=b"HTTP/1.1")
    write("version-7.mitm",
          flow(7, client, server, request(first_line_format="relative", is_replay=False, **message), response(**message),
               marked=False, metadata={}, mode="regular"),
          # A handshake, and the conversation as a record of its own.
          flow(7, client, server, request(first_line_format="relative", is_replay=False, **message),
               dict(response(**message), status_code=101, reason=b"Switching Protocols", content=b""), marked=False,
               metadata={"websocket": True}, mode="regular") | dict(id="11111111-2222-4333-8444-666666666666"),
          dict(version=7, type="websocket", id="11111111-2222-4333-8444-777777777777", error=None, client_conn=client,
               server_conn=dict(server, timestamp_end=START + 5.0), intercepted=False, marked=False,
               metadata={"websocket_handshake": "11111111-2222-4333-8444-666666666666"},
               messages=[[1, True, "ping", START + 2.0, False], [2, False, b"\x00\xff", START + 3.0, False]],
               close_code=1000, close_message="(message missing)", close_reason="done", close_sender="server"))
    client, server = connections("cipher_name", "alpn_proto_negotiated", tls=True, certificate_list=[], cipher_list=[], alpn_offers=[b"http/1.1"],
                                 state=0, error=None)
    message = dict(http_version=b"HTTP/1.1", trailers=None)
    write("version-11.mitm", flow(11, client, dict(server, sni=True), request(authority=b"", **message), response(**message),
          marked=False, metadata={}, mode="regular", is_replay=None))
    client, server = connections("cipher_name", "alpn", tls=True, certificate_list=[], cipher_list=[], alpn_offers=[b"http/1.1"], state=0, error=None)
    write("version-12.mitm", flow(12, client, server, request(authority=b"", **message), response(**message), websocket=None,
          marked="", metadata={}, mode="regular", is_replay=None))
    client, server = connections("cipher", "alpn", True, tls=True, certificate_list=[], cipher_list=[], alpn_offers=[b"http/1.1"], state=0,
                                 error=None, transport_protocol="tcp")
    write("version-19.mitm", flow(19, dict(client, proxy_mode="regular"), server, request(authority=b"", **message),
          response(**message), websocket=None, marked="", metadata={}, comment="", timestamp_created=START + 0.5, is_replay=None))
    write("version-0.10.mitm", dict(version=[0, 10, 1]))
    write("version-22.mitm", dict(version=22))


def newest():
    from mitmproxy import certs, connection, http
    from mitmproxy.io import FlowWriter
    from mitmproxy.test import tflow
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        store = certs.CertStore.from_store(directory, "mitmproxy", 2048)
        certificate = store.get_cert("example.org", []).cert
    flows = []

    def add(flow, **facts):
        flow.id = "11111111-2222-4333-8444-%012d" % len(flows)
        flow.client_conn.id = "aaaaaaaa-0000-4000-8000-000000000001"
        flow.server_conn.id = "aaaaaaaa-0000-4000-8000-000000000002"
        flow.timestamp_created = 946681200.0
        for name, value in facts.items():
            setattr(flow, name, value)
        flows.append(flow)
        return flow

    add(tflow.tflow(resp=True), comment="a comment", marked=":default:")
    h2 = add(tflow.tflow(resp=True))
    h2.request.http_version = h2.response.http_version = "HTTP/2.0"
    h2.request.authority, h2.request.scheme, h2.request.host, h2.request.port = "example.org", "https", "example.org", 443
    h2.response.reason = ""
    h2.response.trailers = http.Headers([(b"grpc-status", b"0")])
    h2.client_conn.sni = h2.server_conn.sni = "example.org"
    h2.client_conn.alpn = h2.server_conn.alpn = b"h2"
    h2.server_conn.tls_version = "TLSv1.3"
    h2.server_conn.certificate_list = [certificate]
    add(tflow.tflow(err=True))
    missing = add(tflow.tflow(resp=True))
    missing.response.raw_content = None
    add(tflow.twebsocketflow())
    add(tflow.ttcpflow())
    add(tflow.tudpflow())
    add(tflow.tdnsflow(resp=True))
    with open(os.path.join(HERE, "newest.mitm"), "wb") as file:
        writer = FlowWriter(file)
        for one in flows:
            writer.add(one)


newest() if sys.argv[1:] == ["newest"] else versions()
