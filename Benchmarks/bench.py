"""The benchmarks: our tools beside their peers, in the same run, in turn. Run by tools/bench, which installs what is needed.

Every figure is a ratio of medians over interleaved rounds (ours, peer, ours, peer, ...). CPU is user + system time of the process from
/proc/PID/stat. A row in which a request failed, or whose recording does not hold what was sent, is invalid.
"""
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def cpu_seconds(pid):
    fields = open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def peak_memory(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", open("/proc/%d/status" % pid).read()).group(1)) * 1024


def wait_for(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("bench: nothing listens on port %d" % port)


class Bench:
    def __init__(self, rounds, seconds):
        self.rounds, self.seconds = rounds, seconds
        self.work = tempfile.mkdtemp(prefix="mitm-bench-")
        self.bin = subprocess.check_output(["swift", "build", "-c", "release", "--show-bin-path"], cwd=ROOT, text=True).strip()
        self.started, self.rows, self.traffic = [], [], False
        self.mitmdump = os.path.join(ROOT, ".build-bench", "venv", "bin", "mitmdump")

    def tool(self, name):
        return os.path.join(self.bin, name)

    def path(self, name):
        return os.path.join(self.work, name)

    def start(self, command, **options):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(self.path("stderr"), "ab"), **options)
        self.started.append(process)
        return process

    def close(self):
        for process in reversed(self.started):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
        shutil.rmtree(self.work, ignore_errors=True)

    def add(self, name, what, ours, peer, unit, pairs, goal, note="", smaller=True):
        ratios = [a / b for a, b in pairs]
        ratio = statistics.median(ratios)
        row = (name, what, ours, peer, unit, ratio, min(ratios), max(ratios), goal, note)
        self.rows.append(row)
        print("%-18s %10.4g %-10s peer %10.4g   ratio %.2f (%.2f to %.2f)   goal %s   %s" % (name, ours, unit, peer, *row[5:8], goal, note), flush=True)

    # -- origin and proxies ----------------------------------------------------------------------------------------------------------

    def serve(self):
        """nginx as the origin, HAProxy and mitm-record (recording, and forwarding only) before it, each plain and in TLS."""
        if self.traffic:
            return
        self.traffic = True
        script = """
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj '/CN=Bench CA'
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj '/CN=localhost'
        printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > ext
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.pem
        cat server.pem server.key > both.pem; mkdir www tmp
        head -c 768 /dev/urandom | base64 -w0 | head -c 1024 > www/1k; head -c 1048576 /dev/urandom > www/1m
        """
        subprocess.run(["bash", "-e", "-c", script], cwd=self.work, check=True, stderr=subprocess.DEVNULL)
        self.http, self.https, self.hap_plain, self.hap_tls = (free_port() for _ in range(4))
        self.h2, self.sink, self.hap_h2, self.hap_pair, self.hap_tcp, self.hap_ws = (free_port() for _ in range(6))
        user = "user root;" if os.getuid() == 0 else ""
        temporary = "".join("%s_temp_path %s/tmp;" % (kind, self.work) for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
        with open(self.path("nginx.conf"), "w") as out:
            out.write(
                "%s daemon off; pid %s/pid; error_log stderr crit; worker_processes 1; events { worker_connections 4096; } http { access_log off; %s"
                "keepalive_requests 1000000000; server { listen 127.0.0.1:%d; listen 127.0.0.1:%d ssl; listen 127.0.0.1:%d ssl http2; root %s/www; ssl_protocols TLSv1.2 TLSv1.3;"
                "ssl_certificate %s/server.pem; ssl_certificate_key %s/server.key; ssl_session_cache shared:s:4m; } }"
                % (user, self.work, temporary, self.http, self.https, self.h2, self.work, self.work, self.work)
            )
        with open(self.path("haproxy.cfg"), "w") as out:
            out.write(
                "global\n maxconn 4096\n nbthread 2\ndefaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
                "frontend plain\n bind 127.0.0.1:%d\n default_backend plain\nbackend plain\n http-reuse always\n server s 127.0.0.1:%d\n"
                "frontend tls\n bind 127.0.0.1:%d ssl crt %s/both.pem\n default_backend tls\nbackend tls\n http-reuse always\n"
                " server s 127.0.0.1:%d ssl verify none\n" % (self.hap_plain, self.http, self.hap_tls, self.work, self.https)
            )
            # The same with a server connection for each client connection, as a recorder has; HTTP/2; and streams of bytes.
            out.write(
                "frontend pair\n bind 127.0.0.1:%d ssl crt %s/both.pem\n default_backend pair\nbackend pair\n http-reuse never\n server s 127.0.0.1:%d ssl verify none\n"
                "frontend h2\n bind 127.0.0.1:%d ssl crt %s/both.pem alpn h2\n default_backend h2\nbackend h2\n http-reuse always\n"
                " server s 127.0.0.1:%d ssl verify none alpn h2\n"
                "listen tcp\n mode tcp\n bind 127.0.0.1:%d\n server s 127.0.0.1:%d\nlisten ws\n timeout tunnel 60s\n bind 127.0.0.1:%d\n server s 127.0.0.1:%d\n"
                % (self.hap_pair, self.work, self.https, self.hap_h2, self.work, self.h2, self.hap_tcp, self.sink, self.hap_ws, self.sink)
            )
        self.start([sys.executable, os.path.join(ROOT, "Benchmarks", "sink.py"), str(self.sink)])
        wait_for(self.sink)
        self.start(["nginx", "-e", "stderr", "-c", self.path("nginx.conf")])
        self.haproxy = self.start(["haproxy", "-db", "-f", self.path("haproxy.cfg")])
        self.recorder, self.rec_plain, self.rec_tls = self.record(self.path("capture.mflow"))
        self.forwarder, self.fwd_plain, self.fwd_tls = self.record("none")
        for port in [self.hap_plain, self.hap_tls, self.rec_plain, self.rec_tls, self.fwd_plain, self.fwd_tls]:
            wait_for(port)

    def record(self, target):
        plain, tls = free_port(), free_port()
        process = self.start(
            [self.tool("mitm-record"), "-q", "-w", target, "--confdir", self.path("conf"), "--ca-file", self.path("ca.pem"), "--mode",
             "reverse:http://127.0.0.1:%d@%d" % (self.http, plain), "--mode", "reverse:https://localhost:%d@%d" % (self.https, tls)]
        )
        wait_for(tls)
        return process, plain, tls

    def wrk(self, url, connections=32, extra=()):
        out = subprocess.check_output(
            ["wrk", "-t1", "-c%d" % connections, "-d%d" % self.seconds, "--latency", *extra, url], text=True, stderr=subprocess.STDOUT
        )
        if "Socket errors" in out or "Non-2xx" in out:
            raise SystemExit("bench: requests failed, so the row is invalid:\n" + out)
        latency = {name: self.microseconds(value) for name, value in re.findall(r"^\s+(50|99)%\s+(\S+)", out, re.M)}
        return int(re.search(r"(\d+) requests in", out).group(1)), latency

    @staticmethod
    def microseconds(text):
        number, unit = re.match(r"([\d.]+)(us|ms|s)", text).groups()
        return float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]

    def load(self, process, url, connections=32, extra=()):
        """CPU microseconds a request, and the latencies."""
        before = cpu_seconds(process.pid)
        requests, latency = self.wrk(url, connections, extra)
        return (cpu_seconds(process.pid) - before) * 1e6 / requests, latency, requests

    def versus(self, name, what, ours, our_url, peer, peer_url, goal, connections=32, extra=(), note=""):
        mine, theirs, sent = [], [], 0
        for _ in range(self.rounds):
            figure, _, requests = self.load(ours, our_url, connections, extra)
            mine.append(figure)
            sent += requests
            theirs.append(self.load(peer, peer_url, connections, extra)[0])
        self.add(name, what, statistics.median(mine), statistics.median(theirs), "us CPU/req", list(zip(mine, theirs)), goal, note)
        return sent

    # -- rows ------------------------------------------------------------------------------------------------------------------------

    def h1_tls(self):
        self.serve()
        self.versus("h1-tls", "HTTP/1.1 TLS to TLS, 1 KiB, recorded, against HAProxy", self.recorder, "https://127.0.0.1:%d/1k" % self.rec_tls,
                    self.haproxy, "https://127.0.0.1:%d/1k" % self.hap_tls, "1.0")

    def h1_plain(self):
        self.serve()
        self.versus("h1-plain", "HTTP/1.1 plain, 1 KiB, recorded, against HAProxy", self.recorder, "http://127.0.0.1:%d/1k" % self.rec_plain,
                    self.haproxy, "http://127.0.0.1:%d/1k" % self.hap_plain, "1.0")

    def h1_tls_1m(self):
        self.serve()
        self.versus("h1-tls-1m", "1 MiB incompressible, TLS, recorded, against HAProxy", self.recorder, "https://127.0.0.1:%d/1m" % self.rec_tls,
                    self.haproxy, "https://127.0.0.1:%d/1m" % self.hap_tls, "1.2", connections=8)

    def h2load(self, url, streams):
        out = subprocess.check_output(["h2load", "-D", str(self.seconds), "-c", "8", "-m", str(streams), url], text=True, stderr=subprocess.STDOUT)
        done = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", out)
        if not done or any(int(done.group(i)) for i in (2, 3, 4)):
            raise SystemExit("bench: requests failed, so the row is invalid:\n" + out)
        return int(done.group(1))

    def h2_row(self, name, what, path, streams, goal):
        """h2load's own figure of time passed counts from its start, so only the requests it reports are used."""
        self.serve()
        recorder, port = self.record_modes("h2.mflow", "reverse:https://localhost:%d" % self.h2)
        mine, theirs = [], []
        for _ in range(self.rounds):
            for process, at, figures in [(recorder, port, mine), (self.haproxy, self.hap_h2, theirs)]:
                before = cpu_seconds(process.pid)
                requests = self.h2load("https://127.0.0.1:%d/%s" % (at, path), streams)
                figures.append((cpu_seconds(process.pid) - before) * 1e6 / requests)
        self.add(name, what, statistics.median(mine), statistics.median(theirs), "us CPU/req", list(zip(mine, theirs)), goal)
        self.stop(recorder)

    def h2_tls(self):
        self.h2_row("h2-tls", "HTTP/2 TLS to TLS, 1 KiB, 8 x 16 streams, recorded, against HAProxy", "1k", 16, "1.0")

    def h2_tls_1m(self):
        self.h2_row("h2-tls-1m", "1 MiB incompressible, HTTP/2 TLS, recorded, against HAProxy", "1m", 4, "1.2")

    def record_modes(self, target, mode):
        port = free_port()
        process = self.start(
            [self.tool("mitm-record"), "-q", "-w", self.path(target), "--truncate", "--confdir", self.path("conf"), "--ca-file", self.path("ca.pem"),
             "--mode", "%s@%d" % (mode, port)]
        )
        wait_for(port)
        return process, port

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        process.wait(20)

    @staticmethod
    def pour(port, opening, block, times):
        """Sends a block of bytes many times over one connection and waits until the far end has taken all."""
        with socket.create_connection(("127.0.0.1", port)) as connection:
            if opening:
                connection.sendall(opening)
                connection.recv(4096)
            for _ in range(times):
                connection.sendall(block)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    def stream_row(self, name, what, mode, hap_port, opening, block, times, units, unit):
        self.serve()
        recorder, port = self.record_modes("stream.mflow", mode)
        mine, theirs = [], []
        for _ in range(self.rounds):
            for process, at, figures in [(recorder, port, mine), (self.haproxy, hap_port, theirs)]:
                before, began = cpu_seconds(process.pid), time.monotonic()
                self.pour(at, opening, block, times)
                figures.append((cpu_seconds(process.pid) - before, time.monotonic() - began))
        note = "%.3g %s/s, peer %.3g" % (units / statistics.median(w for _, w in mine), unit, units / statistics.median(w for _, w in theirs))
        self.add(name, what, statistics.median(c for c, _ in mine) * 1e6 / units, statistics.median(c for c, _ in theirs) * 1e6 / units,
                 "us CPU/" + unit, [(a[0], b[0]) for a, b in zip(mine, theirs)], "1.3", note + ", peak memory %.0f MiB" % (peak_memory(recorder.pid) / 2**20))
        self.stop(recorder)
        os.unlink(self.path("stream.mflow"))

    def tcp(self):
        self.stream_row("tcp", "2 GiB through a TCP tunnel, incompressible, recorded, against HAProxy in mode tcp", "reverse:tcp://127.0.0.1:%d" % self.sink_port(),
                        self.hap_tcp, b"", os.urandom(1 << 20), 2048, 2048, "MiB")

    def websocket(self):
        key = b"\x01\x02\x03\x04"
        payload = bytes(b ^ key[i % 4] for i, b in enumerate(b"{\"price\": 101.25, \"symbol\": \"ABC\", \"sequence\": 123456789012345}"))
        frame = bytes([0x81, 0x80 | len(payload)]) + key + payload
        opening = (b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                   b"Sec-WebSocket-Version: 13\r\n\r\n")
        self.stream_row("websocket", "a million WebSocket messages of 64 bytes, recorded, against HAProxy", "reverse:http://127.0.0.1:%d" % self.sink_port(),
                        self.hap_ws, opening, frame * 10_000, 100, 1_000_000, "messages")

    def sink_port(self):
        self.serve()
        return self.sink

    def new_tls_pair(self):
        self.serve()
        self.versus("new-tls-pair", "the same, with a server connection for each client connection in HAProxy too", self.recorder,
                    "https://127.0.0.1:%d/1k" % self.rec_tls, self.haproxy, "https://127.0.0.1:%d/1k" % self.hap_pair, "1.0", connections=8,
                    extra=["-H", "Connection: close"])

    def new_tls(self):
        self.serve()
        self.versus("new-tls", "a new TLS connection for each request, against HAProxy", self.recorder, "https://127.0.0.1:%d/1k" % self.rec_tls,
                    self.haproxy, "https://127.0.0.1:%d/1k" % self.hap_tls, "1.0", connections=8, extra=["-H", "Connection: close"])

    def latency(self):
        self.serve()
        mine, theirs = [], []
        for _ in range(self.rounds):
            mine.append(self.load(self.recorder, "https://127.0.0.1:%d/1k" % self.rec_tls, 1)[1])
            theirs.append(self.load(self.haproxy, "https://127.0.0.1:%d/1k" % self.hap_tls, 1)[1])
        for quantile in ["50", "99"]:
            pairs = [(a[quantile], b[quantile]) for a, b in zip(mine, theirs)]
            self.add("latency-p" + quantile, "one TLS connection, end to end", statistics.median(a for a, _ in pairs),
                     statistics.median(b for _, b in pairs), "us", pairs, "1.0")

    def recording(self):
        self.serve()
        self.versus("recording-cost", "recording against forwarding only, TLS, 1 KiB", self.recorder, "https://127.0.0.1:%d/1k" % self.rec_tls,
                    self.forwarder, "https://127.0.0.1:%d/1k" % self.fwd_tls, "1.10")

    def exactness(self):
        """Every request of a load is in the recording once; memory stays flat."""
        self.serve()
        target = self.path("exact.mflow")
        process, _, tls = self.record(target)
        sent, _ = self.wrk("https://127.0.0.1:%d/1k" % tls)
        memory = peak_memory(process.pid)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        found = int(subprocess.check_output([self.tool("mitm-filter"), "--count", "~c 200", target], text=True))
        cut = int(subprocess.run([self.tool("mitm-filter"), "--count", "!~c 200", target], text=True, stdout=subprocess.PIPE).stdout)
        # wrk stops counting while its 32 connections still have a request each on its way.
        if not sent <= found <= sent + 32 or cut > 32:
            raise SystemExit("bench: %d requests were sent and %d are in the recording (and %d cut ones)" % (sent, found, cut))
        self.add("exactness", "flows recorded for requests sent", found, sent, "flows", [(found, sent)], "1.0", "peak memory %.0f MiB" % (memory / 2**20))

    def flows(self, count):
        target = os.path.join(ROOT, ".build-bench", "flows-%d.mflow" % count)
        if not os.path.exists(target):
            subprocess.run([self.tool("flow-generator"), str(count), target + ".new"], check=True)
            os.rename(target + ".new", target)
        return target

    def time(self, command, shell=False):
        """User + system seconds of a command whose output is thrown away."""
        before = os.times()
        subprocess.run(command, shell=shell, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    def query_metadata(self):
        for count in [10_000, 100_000, 1_000_000]:
            target = self.flows(count)
            rates = [count / self.time([self.tool("mitm-filter"), "--count", "~c 500", target]) / 1e6 for _ in range(self.rounds)]
            # mitmproxy's own figure, taken once: 3,800 flows a second.
            rate = statistics.median(rates)
            self.add("query-meta-%g" % count, "mitm-filter --count '~c 500', against mitmdump -nr (0.0038)", rate, 0.0038, "M flows/s",
                     [(one, 0.0038) for one in rates], "5 M flows/s", smaller=False)

    def query_body(self):
        target = self.flows(100_000)
        mine, theirs = [], []
        for _ in range(self.rounds):
            mine.append(self.time([self.tool("mitm-filter"), "--count", "~b 'zebra crossing'", target]))
            theirs.append(self.time("lz4 -dc %s | rg -c -a -i 'zebra crossing'" % target, shell=True))
        self.add("query-body", "mitm-filter '~b …' against lz4 -dc | rg, CPU", statistics.median(mine), statistics.median(theirs), "s", list(zip(mine, theirs)), "1.0")

    def print_json(self):
        target = self.flows(10_000)
        lines = self.path("flows.json")
        with open(lines, "w") as out:
            subprocess.run([self.tool("mitm-dump"), "--format", "json", target], stdout=out, check=True)
        mine, theirs = [], []
        for _ in range(self.rounds):
            mine.append(self.time([self.tool("mitm-dump"), "--format", "json", target]))
            theirs.append(self.time(["jq", "-c", ".", lines]))
        self.add("print-json", "mitm-dump --format json against jq -c on the same JSON, CPU", statistics.median(mine), statistics.median(theirs), "s",
                 list(zip(mine, theirs)), "0.2")

    def start_up(self):
        target = self.flows(10_000)
        times = []
        for _ in range(max(5, self.rounds)):
            before = time.monotonic()
            process = subprocess.Popen([self.tool("mitm-dump"), target], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            process.stdout.read(1)
            times.append((time.monotonic() - before) * 1e3)
            process.kill()
            process.wait()
        self.add("start-up", "mitm-dump to its first byte, against 15 ms", statistics.median(times), 15, "ms", [(one, 15) for one in times], "1.0")

    def pages(self):
        """Three hundred different texts for the server, and a script that asks for them in turn."""
        folder = os.path.join(self.work, "www", "p")
        os.makedirs(folder, exist_ok=True)
        lines = subprocess.Popen([self.tool("mitm-dump"), "--format", "json", self.flows(10_000)], stdout=subprocess.PIPE, text=True)
        texts = set()
        for line in lines.stdout:
            text = json.loads(line).get("response", {}).get("body", {}).get("text", "")
            if 1000 < len(text) < 60_000:
                texts.add(text)
            if len(texts) == 300:
                break
        lines.kill()
        lines.wait()
        for number, text in enumerate(sorted(texts)):
            with open(os.path.join(folder, "%d.json" % number), "w") as out:
                out.write(text)
        script = self.path("pages.lua")
        with open(script, "w") as out:
            out.write("n = 0\nrequest = function() n = n + 1 return wrk.format(nil, '/p/' .. (n %% %d) .. '.json') end\n" % len(texts))
        return script

    def file_size(self):
        """The same requests through mitmdump -w and mitm-record -w."""
        self.serve()
        if not os.path.exists(self.mitmdump):
            return print("file-size          left out: mitmproxy could not be installed")
        port = free_port()
        theirs = self.start([self.mitmdump, "-q", "-w", self.path("peer.mitm"), "-p", str(port), "--mode", "reverse:http://127.0.0.1:%d" % self.http])
        wait_for(port)
        process, plain, _ = self.record(self.path("ours.mflow"))
        script = self.pages()
        sizes = []
        for process, port, target in [(process, plain, "ours.mflow"), (theirs, port, "peer.mitm")]:
            requests, _ = self.wrk("http://127.0.0.1:%d/" % port, 4, ["-s", script])
            process.send_signal(signal.SIGTERM)
            process.wait(20)
            sizes.append(os.path.getsize(self.path(target)) / requests)
        self.add("file-size", "bytes a flow of the same 300 pages, against mitmproxy's file", sizes[0], sizes[1], "B/flow", [tuple(sizes)], "0.2")


ROWS = {
    "h1-tls": Bench.h1_tls, "h1-plain": Bench.h1_plain, "h1-tls-1m": Bench.h1_tls_1m, "new-tls": Bench.new_tls, "latency": Bench.latency,
    "new-tls-pair": Bench.new_tls_pair, "h2-tls": Bench.h2_tls, "h2-tls-1m": Bench.h2_tls_1m, "tcp": Bench.tcp, "websocket": Bench.websocket,
    "recording-cost": Bench.recording, "exactness": Bench.exactness, "query-metadata": Bench.query_metadata, "query-body": Bench.query_body,
    "print-json": Bench.print_json, "start-up": Bench.start_up, "file-size": Bench.file_size,
}


def page(rows):
    """docs/benchmarks.md, from its part that is written by hand and the table."""
    target = os.path.join(ROOT, "docs", "benchmarks.md")
    text = open(target).read() if os.path.exists(target) else "# Benchmarks\n"
    hand = text.split("<!-- table -->")[0].rstrip()

    def first_line(command):
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout.splitlines()[0].strip()

    model = re.search(r"model name\s*:\s*(.*)", open("/proc/cpuinfo").read())
    lines = ["", "", "<!-- table -->", "", "Measured %s on %d cores (%s), %s, %s, %s." % (
        time.strftime("%Y-%m-%d"), os.cpu_count(), model.group(1) if model else "?", first_line(["swift", "--version"]), first_line(["haproxy", "-v"]),
        first_line(["nginx", "-v"])), "", "| row | what | ours | peer | unit | ratio | spread | goal | |", "|---|---|---|---|---|---|---|---|---|"]
    for name, what, ours, peer, unit, ratio, low, high, goal, note in rows:
        lines.append("| %s | %s | %.4g | %.4g | %s | **%.2f** | %.2f–%.2f | %s | %s |" % (name, what, ours, peer, unit, ratio, low, high, goal, note))
    with open(target, "w") as out:
        out.write(hand + "\n".join(lines) + "\n")


def main(arguments):
    if "--list" in arguments:
        print("\n".join(ROWS))
        return 0
    chosen = [name for name in arguments if not name.startswith("-")] or list(ROWS)
    unknown = [name for name in chosen if name not in ROWS]
    if unknown:
        print("bench: there is no row '%s'; --list names them" % unknown[0], file=sys.stderr)
        return 2
    bench = Bench(rounds=3, seconds=4)
    try:
        for name in chosen:
            ROWS[name](bench)
    finally:
        bench.close()
    if len(chosen) == len(ROWS):
        page(bench.rows)
    return 0


sys.exit(main(sys.argv[1:]))
