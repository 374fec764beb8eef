"""Rows on the flow file: queries, printing, and its size. Files of generated traffic are kept in .build-bench."""
import datetime
import glob
import hashlib
import json
import os
import subprocess
import time

from running import CACHE, Invalid, LeftOut, ROOT, Result, Row, at_least, at_most, at_most_times, free_port
from traffic import Traffic

LITERAL = "zebra crossing"
MITMDUMP = os.path.join(CACHE, "venv", "bin", "mitmdump")
# Million flows a second of mitmdump -nr on flows like these, measured once.
MITMPROXY_READS = 0.0038


def flows(bench, count, *options):
    """A file of generated traffic. It is generated again when the generator has changed."""
    sources = sorted(glob.glob(os.path.join(ROOT, "Benchmarks", "BenchmarkTraffic", "*.swift")))
    state = hashlib.sha256(b"".join(open(source, "rb").read() for source in sources)).hexdigest()[:12]
    target = os.path.join(CACHE, "flows-%d%s-%s.mflow" % (count, "".join(options), state))
    if not os.path.exists(target):
        os.makedirs(CACHE, exist_ok=True)
        for old in glob.glob(os.path.join(CACHE, "flows-%d%s-*.mflow" % (count, "".join(options)))):
            os.unlink(old)
        bench.output([bench.tool("flow-generator"), *options, str(count), target + ".new"])
        os.rename(target + ".new", target)
    return target


def query_metadata(bench):
    results = []
    for count in [10_000, 100_000, 1_000_000]:
        command = [bench.tool("mitm-filter"), "--count", "~c 500", flows(bench, count)]
        found = int(bench.output(command))
        if not count / 100 < found < count / 25:
            raise Invalid("%d flows of %d have the status 500" % (found, count))
        # The smallest file takes less than the clock's resolution and a process's start, so it is read several times.
        times = max(1, 100_000 // count)
        rates = [times * count / sum(bench.cost(command) for _ in range(times)) / 1e6 for _ in range(bench.rounds)]
        results.append(Result("query-metadata-1e%d" % (len(str(count)) - 1), [(rate, MITMPROXY_READS) for rate in rates], "M flows/s"))
    return results


def group_by(bench):
    count = 1_000_000
    # One thread, since the rate is that of a core.
    command = [bench.tool("mitm-filter"), "--jobs", "1", "--group-by", "host", "--json", "~all", flows(bench, count)]
    found = sum(json.loads(line)["count"] for line in bench.output(command).splitlines())
    if found != count:
        raise Invalid("%d flows of %d are in groups" % (found, count))
    rates = [count / bench.cost(command) / 1e6 for _ in range(bench.rounds)]
    return [Result("group-by-host", [(rate, MITMPROXY_READS) for rate in rates], "M flows/s")]


def arrow(bench):
    """Flows as an Arrow stream, with all columns of metadata and with four of them."""
    count = 1_000_000
    target, results = flows(bench, count), []
    for name, columns in [("arrow-all", ["--format", "arrow"]), ("arrow-4", ["--columns", "started,host,status,duration_us"])]:
        # One thread, since the rate is that of a core.
        command = [bench.tool("mitm-filter"), "--jobs", "1", *columns, "~all", target]
        stream = bench.path(name)
        bench.output([*command, "-o", stream])
        # The schema alone is far below a byte for each flow.
        size = os.path.getsize(stream)
        if size < count:
            raise Invalid("the stream has %d bytes for %d flows" % (size, count))
        results.append(Result(name, [(count / bench.cost(command) / 1e6, 1) for _ in range(bench.rounds)], "M flows/s"))
    return results


def sort_memory(bench):
    """Peak memory for ten flows of a million, beside that for ten of a hundredth of them."""
    def peak(count):
        command = [bench.tool("mitm-filter"), "--sort", "duration:desc", "-m", "10", "--json", "~all", flows(bench, count)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        lines = process.stdout.read().splitlines()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0 or len(lines) != 10:
            raise Invalid("%d flows were printed" % len(lines))
        return usage.ru_maxrss / 1024
    pairs = [(peak(1_000_000), peak(10_000)) for _ in range(bench.rounds)]
    return [Result("sort-memory", pairs, "MiB")]


def query_since(bench):
    """Blocks that are read for the last hundredth of a recording, of all its blocks."""
    target = flows(bench, 1_000_000)

    def started(order):
        command = [bench.tool("mitm-filter"), "--sort", "started" + order, "-m", "1", "--json", "~all", target]
        return datetime.datetime.fromisoformat(json.loads(bench.output(command))["started"][:26] + "+00:00")
    first, last = started(""), started(":desc")
    since = (last - (last - first) / 100).strftime("%Y-%m-%dT%H:%M:%SZ")
    command = [bench.tool("mitm-filter"), "--count", "--explain=json", "--since", since, target]
    explanation = json.loads(bench.output(command))
    if explanation["flows"]["matched"] == 0:
        raise Invalid("no flow started since " + since)
    blocks = explanation["blocks"]
    return [Result("query-since", [(blocks["read"], blocks["all"])], "blocks", "%d flows" % explanation["flows"]["matched"])]


def query_body(bench):
    plain, coded = flows(bench, 100_000, "--uncoded"), flows(bench, 100_000)
    ours = [bench.tool("mitm-filter"), "--count", "~b '%s'" % LITERAL]
    peer = "lz4 -dc %s | rg -c -a -i '%s'" % (plain, LITERAL)
    found, lines = int(bench.output(ours + [plain])), int(bench.output(["bash", "-c", peer]))
    # A line of rg may contain two bodies.
    if not 0 < lines <= found or int(bench.output(ours + [coded])) != found:
        raise Invalid("the literal is in %d flows, and in %d lines" % (found, lines))
    pairs = [(bench.cost(ours + [plain]), bench.cost(peer)) for _ in range(bench.rounds)]
    return [Result("query-body", pairs, "s CPU", "%.2f s where half of the texts are gzip or br" % bench.cost(ours + [coded]))]


def query_json(bench):
    ours = [bench.tool("mitm-filter"), "--count", "~jsons[$.orders[*].items[*].price] >100"]
    peer = "any(.orders?[]?.items?[]?.price?; . > 100)"
    target, bodies = bench.path("json.mflow"), bench.path("bodies.json")
    bench.output([bench.tool("mitm-filter"), "~ts json", flows(bench, 100_000, "--uncoded"), "-w", target])
    size = 0
    with open(bodies, "w") as out:
        for line in bench.output([bench.tool("mitm-dump"), "--format", "json", target]).splitlines():
            body = json.loads(line)["response"].get("body", {}).get("text")
            if body:
                size += len(body)
                out.write(body + "\n")
    found, answers = int(bench.output(ours + [target])), bench.output(["jq", "-c", peer, bodies])
    if not 0 < found == answers.count("true"):
        raise Invalid("%d bodies have such a price, and jq finds %d" % (found, answers.count("true")))
    # Four times, so that the start of a process matters little.
    pairs = [(bench.cost(ours + [target] * 4), bench.cost(["jq", "-c", peer] + [bodies] * 4)) for _ in range(bench.rounds)]
    return [Result("query-json", pairs, "s CPU", "%.0f MB of JSON" % (4 * size / 1e6))]


def print_json(bench):
    command = [bench.tool("mitm-dump"), "--format", "json", flows(bench, 10_000)]
    lines = bench.path("flows.json")
    with open(lines, "w") as out:
        if subprocess.run(command, stdout=out).returncode != 0:
            raise Invalid("mitm-dump failed")
    with open(lines) as printed:
        if sum(1 for _ in printed) != 10_000:
            raise Invalid("not each flow is a line")
    pairs = [(bench.cost(command), bench.cost(["jq", "-c", ".", lines])) for _ in range(bench.rounds)]
    return [Result("print-json", pairs, "s CPU")]


def export(form):
    """CPU of writing 100,000 flows in a format of other programs, beside that of JSON Lines from the same flows."""
    def row(bench):
        def command(name):
            return [bench.tool("mitm-filter"), "--format", name, "~all", flows(bench, 100_000)]
        size = int(bench.output(["bash", "-c", "%s | wc -c" % " ".join("'%s'" % part for part in command(form))]))
        if size < 10_000_000:
            raise Invalid("%d bytes were written" % size)
        pairs = [(bench.cost(command(form)), bench.cost(command("json"))) for _ in range(bench.rounds)]
        return [Result("export-" + form, pairs, "s CPU", "%.0f MB" % (size / 1e6))]
    return row


def start_up(bench):
    target, times = flows(bench, 10_000), []
    for _ in range(max(5, bench.rounds)):
        before = time.monotonic()
        process = subprocess.Popen([bench.tool("mitm-dump"), target], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        first = process.stdout.read(1)
        times.append((time.monotonic() - before) * 1e3)
        process.kill()
        process.wait()
        if not first:
            raise Invalid("mitm-dump printed nothing")
    return [Result("start-up", [(one, 15) for one in times], "ms")]


def pages(bench):
    """Different texts for the server, and a script for wrk that requests them in turn."""
    folder = bench.path("www/p")
    os.makedirs(folder, exist_ok=True)
    texts = set()
    for line in bench.output([bench.tool("mitm-dump"), "--format", "json", flows(bench, 10_000)]).splitlines():
        text = json.loads(line).get("response", {}).get("body", {}).get("text", "")
        if 1000 < len(text) < 60_000:
            texts.add(text)
    if len(texts) < 200:
        raise Invalid("there are only %d different texts" % len(texts))
    texts = sorted(texts)[:300]
    for number, text in enumerate(texts):
        with open(os.path.join(folder, "%d.json" % number), "w") as out:
            out.write(text)
    script = bench.path("pages.lua")
    with open(script, "w") as out:
        out.write("n = 0\nrequest = function() n = n + 1 return wrk.format(nil, '/p/' .. (n %% %d) .. '.json') end\n" % len(texts))
    return script


def file_size(bench):
    if not os.path.exists(MITMDUMP):
        raise LeftOut("mitmproxy could not be installed")
    traffic = Traffic.of(bench)
    script, sizes = pages(bench), []
    with traffic.recorder("plain") as recorder:
        requests, _ = traffic.wrk(recorder.url("plain", ""), 4, ["-s", script])
        traffic.check_recording(recorder, requests, 4)
        sizes.append(os.path.getsize(recorder.target) / requests)
    port, target = free_port(), bench.path("peer.mitm")
    peer = bench.start([MITMDUMP, "-q", "-w", target, "-p", str(port), "--mode", "reverse:http://127.0.0.1:%d" % traffic.ports["http"]], port)
    requests, _ = traffic.wrk("http://127.0.0.1:%d/" % port, 4, ["-s", script])
    bench.stop(peer)
    sizes.append(os.path.getsize(target) / requests)
    os.unlink(target)
    return [Result("file-size", [tuple(sizes)], "B/flow")]


ROWS = [
    Row("query-metadata", "flows that mitm-filter --count '~c 500' goes through in a second of CPU, of 10,000, 100,000 and a million",
        "mitmdump -nr (3,800, taken once)", at_least(5, "M flows/s"), query_metadata),
    Row("group-by-host", "flows that mitm-filter --jobs 1 --group-by host goes through in a second of CPU, of a million",
        "mitmdump -nr (3,800, taken once), which has no groups", at_least(2, "M flows/s"), group_by),
    Row("arrow", "flows that mitm-filter --jobs 1 --format arrow writes in a second of CPU, of a million, with all columns of metadata and with four",
        "a million", at_least(1, "M flows/s"), arrow),
    Row("sort-memory", "peak memory of mitm-filter --sort duration:desc -m 10 on a million flows", "the same on 10,000 flows", at_most_times(1.5), sort_memory),
    Row("query-since", "blocks that mitm-filter --since reads for the last hundredth of a million flows", "all blocks of the file", at_most_times(0.02), query_since),
    Row("query-body", "CPU of mitm-filter --count '~b …' on 100,000 flows without content codings", "lz4 -dc | rg on the same file",
        at_most_times(1.0), query_body),
    Row("query-json", "CPU of mitm-filter --count '~jsons[$.orders[*].items[*].price] >100' on the JSON bodies of 100,000 flows",
        "jq on the same bodies", at_most_times(0.33), query_json),
    Row("print-json", "CPU of mitm-dump --format json on 10,000 flows", "jq -c on the same JSON", at_most_times(0.2), print_json),
    Row("export-pcapng", "CPU of mitm-filter --format pcapng on 100,000 flows", "--format json on the same flows", at_most_times(2.0), export("pcapng")),
    Row("export-warc", "CPU of mitm-filter --format warc on 100,000 flows", "--format json on the same flows", at_most_times(2.5), export("warc")),
    Row("start-up", "time from the start of mitm-dump to its first byte", "15 ms", at_most(15, "ms"), start_up),
    Row("file-size", "bytes of the flow file for each of the same 300 texts, served again and again", "mitmproxy's flow file", at_most_times(0.2), file_size),
]
