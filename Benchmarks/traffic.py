"""The set-up of the traffic rows: nginx and a sink as origins, HAProxy, nghttpx and mitm-record as proxies, and the load generators."""
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys

from running import Invalid, LeftOut, ROOT, cpu_seconds, free_port

CERTIFICATES = """
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj '/CN=Bench CA'
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj '/CN=localhost'
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > ext
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.pem
cat server.pem server.key > both.pem; mkdir www tmp
head -c 768 /dev/urandom | base64 -w0 | head -c 1024 > www/1k; head -c 1048576 /dev/urandom > www/1m
printf '{"user": "ada", "password": "hunter2hunter2", "items": [%s1]}' "$(seq -s, 100 333)," > www/1k.json
"""

NGINX = """
%(user)s daemon off; pid %(work)s/pid; error_log stderr crit; worker_processes 1; events { worker_connections 4096; }
http {
  types { application/json json; } access_log off; keepalive_requests 1000000000; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:s:4m;
  client_body_temp_path %(work)s/tmp; proxy_temp_path %(work)s/tmp; fastcgi_temp_path %(work)s/tmp; uwsgi_temp_path %(work)s/tmp;
  scgi_temp_path %(work)s/tmp;
  server {
    listen 127.0.0.1:%(http)d; listen 127.0.0.1:%(https)d ssl; listen 127.0.0.1:%(h2)d ssl http2; root %(work)s/www;
    ssl_certificate %(work)s/server.pem; ssl_certificate_key %(work)s/server.key;
  }
}
"""

# Each section listens on a port of its own. pair is tls with a server connection for each client connection, as in a recorder.
HAPROXY = """
global
 maxconn 4096
 nbthread 2
defaults
 mode http
 timeout connect 5s
 timeout client 60s
 timeout server 60s
listen plain
 bind 127.0.0.1:%(plain)d
 http-reuse always
 server s 127.0.0.1:%(http)d
listen tls
 bind 127.0.0.1:%(tls)d ssl crt %(work)s/both.pem
 http-reuse always
 server s 127.0.0.1:%(https)d ssl verify none
listen pair
 bind 127.0.0.1:%(pair)d ssl crt %(work)s/both.pem
 http-reuse never
 server s 127.0.0.1:%(https)d ssl verify none
listen h2
 bind 127.0.0.1:%(h2front)d ssl crt %(work)s/both.pem alpn h2
 http-reuse always
 server s 127.0.0.1:%(h2)d ssl verify none alpn h2
listen tcp
 mode tcp
 bind 127.0.0.1:%(tcp)d
 server s 127.0.0.1:%(sink)d
listen ws
 timeout tunnel 60s
 bind 127.0.0.1:%(ws)d
 server s 127.0.0.1:%(sink)d
"""


class Proxy:
    """A process between the load and the origin, and its URLs."""

    def __init__(self, process, ports):
        self.process, self.ports = process, ports

    def url(self, kind, path):
        return "%s://127.0.0.1:%d/%s" % ("http" if kind == "plain" else "https", self.ports[kind], path)


class Traffic:
    """The origins, and a HAProxy that all rows share. Each row starts a recorder of its own, so that its recording can be checked."""

    def __init__(self, bench):
        self.bench = bench
        done = subprocess.run(["bash", "-e", "-c", CERTIFICATES], cwd=bench.work, stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise Invalid("no certificates: %s" % done.stderr[-300:].decode(errors="replace"))
        self.ports = {name: free_port() for name in ["http", "https", "h2", "sink"]}
        with open(bench.path("nginx.conf"), "w") as out:
            out.write(NGINX % {**self.ports, "work": bench.work, "user": "user root;" if os.getuid() == 0 else ""})
        bench.start([sys.executable, os.path.join(ROOT, "Benchmarks", "sink.py"), str(self.ports["sink"])], self.ports["sink"])
        self.nginx = bench.start(["nginx", "-e", "stderr", "-c", bench.path("nginx.conf")], self.ports["h2"])
        self.haproxy = self.start_haproxy("haproxy.cfg")

    @classmethod
    def of(cls, bench):
        if bench.traffic is None:
            bench.traffic = cls(bench)
        return bench.traffic

    # -- proxies ---------------------------------------------------------------------------------------------------------------------

    def start_haproxy(self, name):
        ports = {name: free_port() for name in ["plain", "tls", "pair", "h2front", "tcp", "ws"]}
        with open(self.bench.path(name), "w") as out:
            out.write(HAPROXY % {**self.ports, **ports, "work": self.bench.work})
        return Proxy(self.bench.start(["haproxy", "-db", "-f", self.bench.path(name)], ports["ws"]), {**ports, "h2": ports["h2front"]})

    def start_nghttpx(self):
        if not shutil.which("nghttpx"):
            raise LeftOut("nghttpx is not installed")
        port = free_port()
        command = ["nghttpx", "--single-process", "--workers=2", "-k", "--no-ocsp", "--conf=/dev/null", "--errorlog-file=/dev/stderr",
                   "-f127.0.0.1,%d" % port, "-b127.0.0.1,%d;;proto=h2;tls" % self.ports["h2"], self.bench.path("server.key"),
                   self.bench.path("server.pem")]
        return Proxy(self.bench.start(command, port), {"h2": port})

    def start_recorder(self, target, options=(), **modes):
        """mitm-record in the given reverse modes (name=mode), with further options; target is a flow file or none."""
        ports = {name: free_port() for name in modes}
        command = [self.bench.tool("mitm-record"), "-q", "-w", target, "--confdir", self.bench.path("conf"), "--ca-file",
                   self.bench.path("ca.pem"), *options]
        if target != "none":
            command.append("--truncate")
        for name, mode in modes.items():
            command += ["--mode", "%s@%d" % (mode, ports[name])]
        return Proxy(self.bench.start(command, max(ports.values())), ports)

    def modes(self, *names):
        known = {"plain": "reverse:http://127.0.0.1:%(http)d", "tls": "reverse:https://localhost:%(https)d",
                 "h2": "reverse:https://localhost:%(h2)d", "tcp": "reverse:tcp://127.0.0.1:%(sink)d", "ws": "reverse:http://127.0.0.1:%(sink)d"}
        return {name: known[name] % self.ports for name in names}

    @contextlib.contextmanager
    def recorder(self, *names, options=()):
        """A recorder for one row. Its recording is deleted at the end."""
        target = self.bench.path("row-%d.mflow" % len(self.bench.started))
        proxy = self.start_recorder(target, options, **self.modes(*names))
        proxy.target = target
        try:
            yield proxy
            if proxy.process in self.bench.started:
                self.stop_recorder(proxy)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(target)

    def stop_recorder(self, proxy):
        """Ends a recorder. Its status reports whether all traffic was recorded."""
        status = self.bench.stop(proxy.process)
        if status != 0:
            raise Invalid("mitm-record ended with status %d" % status)

    def check_recording(self, proxy, sent, cut):
        """Ends a recorder: each request that was answered must be in its file once. The load stops counting while requests are under
        way, so the file may have up to cut more."""
        self.stop_recorder(proxy)
        found = int(self.bench.output([self.bench.tool("mitm-filter"), "--count", "~c 200", proxy.target]))
        if not sent <= found <= sent + cut:
            raise Invalid("%d requests were answered and %d are in the recording" % (sent, found))
        return found

    # -- load ------------------------------------------------------------------------------------------------------------------------

    def wrk(self, url, connections=32, extra=()):
        """The requests that were answered, and the latencies in microseconds by percentile."""
        out = self.bench.output(["wrk", "-t1", "-c%d" % connections, "-d%d" % self.bench.seconds, "--latency", *extra, url])
        if "Socket errors" in out or "Non-2xx" in out:
            raise Invalid("requests failed: " + " ".join(re.findall(r"(?:Socket errors|Non-2xx).*", out)))
        scale = {"us": 1, "ms": 1e3, "s": 1e6}
        latency = {name: float(number) * scale[unit] for name, number, unit in re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)$", out, re.M)}
        requests = int(re.search(r"(\d+) requests in", out).group(1))
        if requests == 0 or len(latency) < 2:
            raise Invalid("no request was answered")
        return requests, latency

    def h2load(self, url, streams):
        """The requests that were answered. h2load's own elapsed time counts from its start and is not used."""
        out = self.bench.output(["h2load", "-D", str(self.bench.seconds), "-c", "8", "-m", str(streams), url])
        done = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", out)
        if not done or int(done.group(1)) == 0 or any(int(done.group(index)) for index in (2, 3, 4)):
            raise Invalid("requests failed: %s" % (done.group(0) if done else out[-300:]))
        return int(done.group(1))

    @staticmethod
    def cost(proxy, load):
        """CPU microseconds of a proxy for each request of a load, and the number of requests, which the function load returns."""
        before = cpu_seconds(proxy.process)
        requests = load()
        return (cpu_seconds(proxy.process) - before) * 1e6 / requests, requests

    @staticmethod
    def pour(port, opening, block, times):
        """Sends a block of bytes many times over one connection and waits until the far end has read all of it."""
        with socket.create_connection(("127.0.0.1", port), 60) as connection:
            if opening:
                connection.sendall(opening)
                if not connection.recv(4096).startswith(b"HTTP/1.1 101"):
                    raise Invalid("the server did not switch protocols")
            for _ in range(times):
                connection.sendall(block)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
