"""Rows in which the recorder stands between a load and a server."""
import os
import socket
import ssl
import subprocess
import time
from types import SimpleNamespace

from running import Goal, Invalid, Result, Row, at_most, at_most_times, cpu_seconds, free_port, memory
from traffic import Proxy, Traffic


def versus(name, kind, path="1k", connections=32, extra=(), peer=lambda traffic: (traffic.haproxy, None)):
    """CPU for each request of wrk, ours and a peer's; peer returns the proxy and the kind of its port, when it differs."""

    def run(bench):
        traffic = Traffic.of(bench)
        other, other_kind = peer(traffic)
        pairs, sent = [], 0
        with traffic.recorder(kind) as recorder:
            for _ in range(bench.rounds):
                ours, requests = traffic.cost(recorder, lambda: traffic.wrk(recorder.url(kind, path), connections, extra)[0])
                theirs, _ = traffic.cost(other, lambda: traffic.wrk(other.url(other_kind or kind, path), connections, extra)[0])
                pairs.append((ours, theirs))
                sent += requests
            peak = memory(recorder.process, "VmHWM")
            traffic.check_recording(recorder, sent, bench.rounds * connections)
        return [Result(name, pairs, "us CPU/request", "peak memory %.0f MiB" % (peak / 2**20))]

    return run


def recording_cost(bench):
    traffic = Traffic.of(bench)
    forwarder = traffic.start_recorder("none", **traffic.modes("tls"))
    results = versus("recording-cost", "tls", peer=lambda _: (forwarder, None))(bench)
    traffic.stop_recorder(forwarder)
    return results


def h2_versus(name, path, streams, peer=lambda traffic: traffic.haproxy):
    def run(bench):
        traffic = Traffic.of(bench)
        other = peer(traffic)
        pairs, sent = [], 0
        with traffic.recorder("h2") as recorder:
            for _ in range(bench.rounds):
                ours, requests = traffic.cost(recorder, lambda: traffic.h2load(recorder.url("h2", path), streams))
                theirs, _ = traffic.cost(other, lambda: traffic.h2load(other.url("h2", path), streams))
                pairs.append((ours, theirs))
                sent += requests
            traffic.check_recording(recorder, sent, bench.rounds * 8 * streams)
        if other is not traffic.haproxy:
            bench.stop(other.process)
        return [Result(name, pairs, "us CPU/request")]

    return run


def latency(bench):
    traffic = Traffic.of(bench)
    rounds, sent = [], 0
    with traffic.recorder("tls") as recorder:
        for _ in range(bench.rounds):
            requests, ours = traffic.wrk(recorder.url("tls", "1k"), 1)
            rounds.append((ours, traffic.wrk(traffic.haproxy.url("tls", "1k"), 1)[1]))
            sent += requests
        traffic.check_recording(recorder, sent, bench.rounds)
    return [Result("latency-p" + quantile, [(ours[quantile], theirs[quantile]) for ours, theirs in rounds], "us") for quantile in ["50", "99"]]


def stream(name, kind, opening, block, times, units, unit):
    """Bytes poured through one connection."""

    def run(bench):
        traffic = Traffic.of(bench)
        figures = []
        with traffic.recorder(kind) as recorder:
            for _ in range(bench.rounds):
                pair = []
                for proxy in [recorder, traffic.haproxy]:
                    before, began = cpu_seconds(proxy.process), time.monotonic()
                    traffic.pour(proxy.ports[kind], opening, block, times)
                    pair.append((cpu_seconds(proxy.process) - before, time.monotonic() - began))
                figures.append(pair)
            peak = memory(recorder.process, "VmHWM")
            traffic.stop_recorder(recorder)
            flows = int(bench.output([bench.tool("mitm-filter"), "--count", "~all", recorder.target]))
            # The check that the recorder listens is a connection too, without data.
            expected = bench.rounds + (kind == "tcp")
            if flows != expected:
                raise Invalid("%d connections are in the recording of %d" % (flows, expected))
        speeds = [units / sorted(pair[side][1] for pair in figures)[len(figures) // 2] for side in (0, 1)]
        note = "%.3g %s/s, peer %.3g, peak memory %.0f MiB" % (speeds[0], unit, speeds[1], peak / 2**20)
        return [Result(name, [(ours[0] * 1e6 / units, theirs[0] * 1e6 / units) for ours, theirs in figures], "us CPU/" + unit, note)]

    return run


def websocket(bench):
    key = b"\x01\x02\x03\x04"
    payload = bytes(b ^ key[i % 4] for i, b in enumerate(b'{"price": 101.25, "symbol": "ABC", "sequence": 123456789012345}'))
    frame = bytes([0x81, 0x80 | len(payload)]) + key + payload
    opening = (b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
               b"Sec-WebSocket-Version: 13\r\n\r\n")
    return stream("websocket", "ws", opening, frame * 10_000, 100, 1_000_000, "message")(bench)


def tcp(bench):
    return stream("tcp", "tcp", b"", os.urandom(1 << 20), 2048, 2048, "MiB")(bench)


def exactness(bench):
    traffic = Traffic.of(bench)
    with traffic.recorder("tls") as recorder:
        sent, _ = traffic.wrk(recorder.url("tls", "1k"))
        found = traffic.check_recording(recorder, sent, 32)
        # No other flows than those that the end of the load has cut.
        others = int(bench.output([bench.tool("mitm-filter"), "--count", "!~c 200", recorder.target], statuses=(0, 1)))
        if others > 32:
            raise Invalid("%d flows are cut" % others)
    return [Result("exactness", [(found, sent)], "flows", "and %d cut ones" % others)]


# -- memory --------------------------------------------------------------------------------------------------------------------------


def connections_to(port):
    """Number of established connections of this machine to one of its own ports."""
    lines = [line.split() for line in open("/proc/net/tcp").read().splitlines()[1:]]
    return sum(1 for fields in lines if fields[2].endswith(":%04X" % port) and fields[3] == "01")


def idle_tls(bench):
    """Every session had an exchange, so both of its connections are open."""
    count = 1000
    traffic = Traffic.of(bench)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def grown(proxy, kind):
        sessions = []

        def open_sessions(number):
            for _ in range(number):
                session = context.wrap_socket(socket.create_connection(("127.0.0.1", proxy.ports[kind]), 20), server_hostname="localhost")
                session.sendall(b"GET /1k HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answer = b""
                while len(answer.partition(b"\r\n\r\n")[2]) < 1024:
                    piece = session.recv(8192)
                    if not piece:
                        raise Invalid("a session was closed before its answer was whole")
                    answer += piece
                sessions.append(session)

        try:
            # Memory that is needed once, for any number of sessions.
            open_sessions(20)
            before = memory(proxy.process, "VmRSS")
            open_sessions(count)
            # Buffers of recorded data are freed after they were written.
            time.sleep(2)
            after = memory(proxy.process, "VmRSS")
            if connections_to(traffic.ports["https"]) < count:
                raise Invalid("not every session has a server connection")
            for session in sessions:
                session.setblocking(False)
                try:
                    if session.recv(1) == b"":
                        raise Invalid("an idle session was closed")
                except ssl.SSLWantReadError:
                    pass
            return (after - before) / count / 1024
        finally:
            for session in sessions:
                session.close()

    with traffic.recorder("tls") as recorder:
        ours = grown(recorder, "tls")
    # A new process, which holds no memory from other rows.
    haproxy = traffic.start_haproxy("idle.cfg")
    theirs = grown(haproxy, "pair")
    bench.stop(haproxy.process)
    return [Result("idle-tls", [(ours, theirs)], "KiB/session")]


def download(name, options=(), file="large", is_stored=True):
    """The peak memory of a recorder in a large download, against that in a small one. The content is incompressible, so a recording of all of
    it is at least as large."""

    def run(bench):
        traffic = Traffic.of(bench)
        served = bench.path("www/" + file)

        def peak(size):
            with open("/dev/urandom", "rb") as source, open(served, "wb") as out:
                for _ in range(size >> 20):
                    out.write(source.read(1 << 20))
            try:
                with traffic.recorder("tls", options=options) as recorder:
                    got = int(bench.output(["curl", "-sk", "-o", "/dev/null", "-w", "%{size_download}", recorder.url("tls", file)]))
                    reached = memory(recorder.process, "VmHWM")
                    traffic.check_recording(recorder, 1, 0)
                    recorded = os.path.getsize(recorder.target)
                if got != size or (recorded >= size) != is_stored:
                    raise Invalid("%d bytes of %d came, and the recording has %d" % (got, size, recorded))
                return reached / 2**20
            finally:
                os.unlink(served)

        return [Result(name, [(peak(1 << 30), peak(1 << 26))], "MiB")]

    return run


# -- redaction -----------------------------------------------------------------------------------------------------------------------


def redaction(name, path, rules, extra=()):
    """CPU for each request of wrk, with rules and without, by two recorders of one build in turn. No secret is left in the first recording."""

    def run(bench):
        traffic = Traffic.of(bench)
        options = [word for rule in rules for word in ("--redact", rule)]
        pairs, sent = [], 0
        with traffic.recorder("tls") as plain, traffic.recorder("tls", options=options) as redacting:
            for _ in range(bench.rounds):
                ours, requests = traffic.cost(redacting, lambda: traffic.wrk(redacting.url("tls", path), extra=extra)[0])
                theirs, _ = traffic.cost(plain, lambda: traffic.wrk(plain.url("tls", path), extra=extra)[0])
                pairs.append((ours, theirs))
                sent += requests
            peak = memory(redacting.process, "VmHWM")
            traffic.check_recording(redacting, sent, bench.rounds * 32)
            left = subprocess.run(["bash", "-c", "lz4 -dc \"$0\" | grep -caF hunter2", redacting.target], stdout=subprocess.PIPE, text=True).stdout
            if int(left):
                raise Invalid("secrets are in the recording")
        return [Result(name, pairs, "us CPU/request", "peak memory %.0f MiB" % (peak / 2**20))]

    return run


# -- serving -------------------------------------------------------------------------------------------------------------------------


def serve(bench):
    """mitm-serve with a recording of one file, and nginx itself."""
    traffic = Traffic.of(bench)
    target = bench.path("served.mflow")
    recorder = traffic.start_recorder(target, **traffic.modes("plain"))
    bench.output(["curl", "-sS", "--fail", "-o", os.devnull, recorder.url("plain", "1k")])
    traffic.stop_recorder(recorder)
    port = free_port()
    command = [bench.tool("mitm-serve"), "-q", "--confdir", bench.path("conf"), "-p", str(port), target]
    server = Proxy(bench.start(command, port), {"plain": port})
    # nginx's one child does the work.
    children = open("/proc/%d/task/%d/children" % (traffic.nginx.pid, traffic.nginx.pid)).read().split()
    origin = Proxy(SimpleNamespace(pid=int(children[0])), {"plain": traffic.ports["http"]})
    pairs = []
    for _ in range(bench.rounds):
        pairs.append(tuple(traffic.cost(proxy, lambda: traffic.wrk(proxy.url("plain", "1k"))[0])[0] for proxy in (server, origin)))
    peak = memory(server.process, "VmHWM")
    bench.stop(server.process)
    return [Result("serve", pairs, "us CPU/request", "peak memory %.0f MiB" % (peak / 2**20))]


ONE = at_most_times(1.0)
HEAD_RULES = ["header:authorization", "cookie:session", "query:token", "header:x-api-key"]
HAPROXY = "HAProxy, which records nothing"

ROWS = [
    Row("h1-tls", "CPU for a request of HTTP/1.1, TLS to TLS, 1 KiB, 32 connections, recorded", HAPROXY, ONE, versus("h1-tls", "tls")),
    Row("h1-plain", "CPU for a request of HTTP/1.1, plain, 1 KiB, 32 connections, recorded", HAPROXY, ONE, versus("h1-plain", "plain")),
    Row("h1-tls-1m", "CPU for a response of 1 MiB that cannot be compressed, HTTP/1.1 TLS to TLS, recorded", HAPROXY, at_most_times(1.2),
        versus("h1-tls-1m", "tls", "1m", 8)),
    Row("h2-tls", "CPU for a request of HTTP/2, TLS to TLS, 1 KiB, 8 connections of 16 streams, recorded", HAPROXY, ONE, h2_versus("h2-tls", "1k", 16)),
    Row("h2-tls-nghttpx", "the same as h2-tls", "nghttpx, which records nothing", ONE,
        h2_versus("h2-tls-nghttpx", "1k", 16, lambda traffic: traffic.start_nghttpx())),
    Row("h2-tls-1m", "CPU for a response of 1 MiB that cannot be compressed, HTTP/2 TLS to TLS, recorded", HAPROXY, at_most_times(1.2),
        h2_versus("h2-tls-1m", "1m", 4)),
    Row("new-tls", "CPU for a request with a TLS connection of its own, recorded", "HAProxy, which keeps its connections to the server", ONE,
        versus("new-tls", "tls", connections=8, extra=["-H", "Connection: close"])),
    Row("new-tls-pair", "the same as new-tls", "HAProxy with a new server connection for each client connection", ONE,
        versus("new-tls-pair", "tls", connections=8, extra=["-H", "Connection: close"], peer=lambda traffic: (traffic.haproxy, "pair"))),
    Row("latency", "time to a response of 1 KiB, one TLS connection, median and 99th percentile, recorded", HAPROXY, ONE, latency),
    Row("tcp", "CPU for a MiB of 2 GiB through a TCP tunnel, recorded", "HAProxy in mode tcp, which records nothing", at_most_times(1.3), tcp),
    Row("websocket", "CPU for a message of a million WebSocket messages of 64 bytes, recorded", HAPROXY, at_most_times(1.3), websocket),
    Row("recording-cost", "CPU for a request of HTTP/1.1, TLS to TLS, 1 KiB, recorded", "the recorder with -w none", at_most_times(1.1), recording_cost),
    Row("exactness", "flows of one load that are in the recording", "the requests that were answered", Goal("each of them once", lambda _: True), exactness),
    Row("idle-tls", "memory for each of 1,000 idle TLS sessions (a client's and a server's connection), recorded",
        "HAProxy with as many server connections", at_most(64, "KiB/session"), idle_tls),
    Row("download-1g", "peak memory of the recorder in a download of 1 GiB that cannot be compressed, TLS", "a download of 64 MiB",
        at_most_times(1.25), download("download-1g")),
    Row("body-limit-1g", "the same as download-1g with --body-limit 64k", "a download of 64 MiB", at_most_times(1.25),
        download("body-limit-1g", ["--body-limit", "64k"], is_stored=False)),
    Row("redaction-1g", "the same as download-1g with a rule json: that the content is too large for", "a download of 64 MiB", at_most_times(1.25),
        download("redaction-1g", ["--redact", "json:$..password"], "large.json", is_stored=False)),
    Row("redaction-heads", "CPU for a request of HTTP/1.1, TLS to TLS, 1 KiB, whose heads and query are redacted (4 rules, 3 values)",
        "the recorder without rules", at_most_times(1.1),
        redaction("redaction-heads", "1k?token=hunter2", HEAD_RULES, ["-H", "Authorization: Bearer hunter2", "-H", "Cookie: session=hunter2; theme=dark"])),
    Row("redaction-json", "CPU for a request of HTTP/1.1, TLS to TLS, with a rule json: for its response of 1 KiB", "the recorder without rules",
        at_most_times(1.3), redaction("redaction-json", "1k.json", ["json:$..password"])),
    Row("serve", "CPU for a request that mitm-serve answers from a recording, HTTP/1.1, plain, 1 KiB, 32 connections", "nginx, which serves the file",
        at_most_times(1.5), serve),
]
