"""Rows on mitm-view: how soon a million flows are listed, filtered and sorted, and what that costs; and mitmweb with the same flows."""
import contextlib
import http.client
import json
import os
import re
import statistics
import subprocess
import time
from types import SimpleNamespace

import browser
from file_rows import MITMDUMP, flows
from running import Invalid, LeftOut, Result, Row, at_most, at_most_times, cpu_seconds, free_port, memory
from traffic import Traffic

MITMWEB = os.path.join(os.path.dirname(MITMDUMP), "mitmweb")
COLUMNS = "started,method,status,host,path,resp_type,size,duration_us"
# One flow in fifty.
FILTER = "~c 500"
MILLION, TENTH = 1_000_000, 100_000


class View:
    """mitm-view with one recording, and its calls."""

    def __init__(self, bench, recording, *options):
        self.began = time.monotonic()
        self.process = subprocess.Popen([bench.tool("mitm-view"), *options, recording], stdout=subprocess.PIPE, text=True)
        bench.started.append(self.process)
        self.url = self.process.stdout.readline().strip()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/#k=(\S+)", self.url)
        if not found:
            raise Invalid("mitm-view printed %r" % self.url)
        self.headers = {"Authorization": "Bearer " + found.group(2)}
        self.connection = http.client.HTTPConnection("127.0.0.1", int(found.group(1)), timeout=60)

    def call(self, method, path, body=None):
        self.connection.request(method, "/api/1/" + path, None if body is None else json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201):
            raise Invalid("mitm-view answered %d to %s" % (answer.status, path))
        return json.loads(text)

    def open(self, **what):
        return self.call("POST", "views", what)["view"]

    def rows(self, view, start=0, count=60):
        return self.call("GET", "views/%s/rows?from=%d&count=%d&columns=%s" % (view, start, count, COLUMNS))

    def wait(self, view, is_enough):
        """The seconds until a list has what is waited for, and its rows then."""
        began = time.monotonic()
        while True:
            rows = self.rows(view)
            if is_enough(rows):
                return time.monotonic() - began, rows
            if time.monotonic() - began > 120:
                raise Invalid("mitm-view was not done after two minutes")

    def index(self, count):
        """Waits until all flows are known."""
        while not self.call("GET", "status")["complete"]:
            time.sleep(0.01)
        found = self.call("GET", "status")["flows"]
        if found != count:
            raise Invalid("mitm-view has %d flows of %d" % (found, count))


@contextlib.contextmanager
def view(bench, recording, *options):
    shown = View(bench, recording, *options)
    try:
        yield shown
    finally:
        bench.stop(shown.process)


def first_rows(bench):
    target, times = flows(bench, MILLION), []
    for _ in range(max(3, bench.rounds)):
        with view(bench, target) as shown:
            shown.wait(shown.open(), lambda rows: len(rows["rows"]) == 60)
            times.append((time.monotonic() - shown.began) * 1e3)
    return [Result("view-first-rows", [(one, 300) for one in times], "ms")]


def timed_list(name, limit, is_enough, **what):
    """Milliseconds until a list of a million flows has what is waited for."""

    def run(bench):
        times = []
        with view(bench, flows(bench, MILLION)) as shown:
            shown.index(MILLION)
            for _ in range(max(3, bench.rounds)):
                began = time.monotonic()
                opened = shown.open(**what)
                _, rows = shown.wait(opened, is_enough)
                times.append((time.monotonic() - began) * 1e3)
                # The next round does not share the list.
                shown.open(filter="~c 999", replaces=opened)
        return [Result(name, [(one, limit) for one in times], "ms", "%d flows" % rows["matched"])]

    return run


def is_done(rows):
    return rows["done"]


def has_rows(rows):
    return len(rows["rows"]) > 0


def server_memory(bench):
    with view(bench, flows(bench, MILLION)) as shown:
        shown.index(MILLION)
        shown.wait(shown.open(filter=FILTER), is_done)
        shown.wait(shown.open(sort=["duration_us", "desc"]), has_rows)
        shown.rows(shown.open(), MILLION - 120, 120)
        peak, now = memory(shown.process, "VmHWM"), memory(shown.process, "VmRSS")
    return [Result("view-memory", [(peak / 2**20, 180)], "MiB", "%.0f MiB at the end" % (now / 2**20))]


def page_heap(bench):
    with view(bench, flows(bench, MILLION)) as shown, browser.chromium(bench) as page:
        shown.index(MILLION)
        page.open(shown.url)
        page.wait("return document.querySelectorAll('#layer .row').length > 10")
        # To the end, through the middle, and back.
        for share in (1, 0.5, 0.1, 0):
            page.run("const s = document.getElementById('scroller'); s.scrollTop = s.scrollHeight * %g" % share)
            time.sleep(0.5)
        heap = page.heap()
    return [Result("view-page-heap", [(heap / 2**20, 60)], "MiB")]


# -- mitmweb -------------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def mitmweb(bench, recording):
    """mitmweb with a recording; it has read all of it when it answers."""
    if not os.path.exists(MITMWEB):
        raise LeftOut("mitmproxy could not be installed")
    port = free_port()
    began = time.monotonic()
    with open(bench.path("mitmweb.log"), "wb") as log:
        process = subprocess.Popen([MITMWEB, "-n", "-r", recording, "--no-web-open-browser", "--web-port", str(port)], stdout=log, stderr=log)
    bench.started.append(process)
    try:
        yield SimpleNamespace(process=process, port=port, url="http://127.0.0.1:%d/" % port, began=began)
    finally:
        # It takes minutes to end by itself.
        process.kill()
        process.wait()
        bench.started.remove(process)


def listed_by_mitmweb(peer, count):
    """Seconds from its start until it has answered with all flows."""
    while time.monotonic() - peer.began < 600:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=600)
            connection.request("GET", "/flows.json")
            answer = connection.getresponse()
            text = answer.read()
        except OSError:
            time.sleep(0.05)
            continue
        if answer.status != 200:
            raise Invalid("mitmweb answered %d" % answer.status)
        if len(json.loads(text)) == count:
            return time.monotonic() - peer.began
        time.sleep(0.2)
    raise Invalid("mitmweb did not list all flows in ten minutes")


def in_mitmproxys_format(bench):
    target = bench.path("flows.mitm")
    if not os.path.exists(target):
        bench.output([bench.tool("mitm-filter"), "--format", "mitmproxy", "~all", flows(bench, TENTH), "-o", target])
    return target


def beside_mitmweb(bench):
    """The same jobs in both pages: until a list of all flows is there, until a filter has been applied to it, and the server's memory then."""
    recording, ours = flows(bench, TENTH), []
    for _ in range(bench.rounds):
        with view(bench, recording) as shown:
            _, rows = shown.wait(shown.open(), lambda rows: rows["done"] and rows["total"] == TENTH)
            listed = time.monotonic() - shown.began
            began = time.monotonic()
            _, found = shown.wait(shown.open(filter=FILTER), is_done)
            ours.append((listed, time.monotonic() - began, memory(shown.process, "VmHWM") / 2**20))
    expected = found["matched"]
    with mitmweb(bench, in_mitmproxys_format(bench)) as peer:
        listed = listed_by_mitmweb(peer, TENTH)
        with browser.chromium(bench) as page:
            page.open(peer.url)
            page.wait("return document.querySelectorAll('.flow-table tbody tr').length > 5", 300)
            filtered = page.run(browser.FILTER_IN_MITMWEB, FILTER) / 1e3
            heap = page.heap()
        peak = memory(peer.process, "VmHWM") / 2**20
    ours = [statistics.median(column) for column in zip(*ours)]
    note = "%d flows found; mitmweb taken once" % expected
    return [
        Result("view-mitmweb-list", [(ours[0], listed)], "s", note),
        Result("view-mitmweb-filter", [(ours[1], filtered)], "s", note),
        Result("view-mitmweb-memory", [(ours[2], peak)], "MiB", "and %.0f MiB of heap in mitmweb's page" % (heap / 2**20)),
    ]


# -- while it is recorded -------------------------------------------------------------------------------------------------------------

# Counts the page's frames, and the longest time between two of them.
COUNT_FRAMES = """
window.frames_ = { count: 0, longest: 0, last: performance.now(), began: performance.now() };
(function next(now) {
  const f = window.frames_;
  f.count += 1; f.longest = Math.max(f.longest, now - f.last); f.last = now;
  requestAnimationFrame(next);
})(performance.now());
"""


def while_recording(bench):
    """CPU of the recorder for each request of wrk with its file shown by mitm-view in Chromium, which follows it, and without."""
    traffic, pairs, notes = Traffic.of(bench), [], []
    for _ in range(bench.rounds):
        with traffic.recorder("plain") as recorder:
            def load():
                return traffic.wrk(recorder.url("plain", "1k"))[0]
            with view(bench, recorder.target) as shown, browser.chromium(bench) as page:
                page.open(shown.url)
                page.wait("return document.querySelectorAll('#layer').length == 1")
                page.run(COUNT_FRAMES)
                before = cpu_seconds(shown.process)
                ours, requests = traffic.cost(recorder, load)
                followed = (cpu_seconds(shown.process) - before) * 1e6 / requests
                frames = page.run("const f = window.frames_; return [f.count * 1000 / (performance.now() - f.began), f.longest]")
            theirs, _ = traffic.cost(recorder, load)
            pairs.append((ours, theirs))
            notes.append((followed, *frames, requests / bench.seconds))
    note = "%.0f requests/s; mitm-view takes %.1f us CPU a request; %.0f frames/s in the page, the longest after %.0f ms"
    followed, frames, longest, rate = (statistics.median(column) for column in zip(*notes))
    return [Result("view-recording", pairs, "us CPU/request", note % (rate, followed, frames, longest))]


ROWS = [
    Row("view-first-rows", "time from the start of mitm-view on a million flows to its first 60 rows", "300 ms", at_most(300, "ms"), first_rows),
    Row("view-filter-first", "time to the first rows of a list of a million flows where %s" % FILTER, "50 ms", at_most(50, "ms"),
        timed_list("view-filter-first", 50, has_rows, filter=FILTER)),
    Row("view-filter", "time until a million flows were tested with %s" % FILTER, "500 ms", at_most(500, "ms"),
        timed_list("view-filter", 500, is_done, filter=FILTER)),
    Row("view-sort", "time to the first rows of a million flows by duration", "1,000 ms", at_most(1000, "ms"),
        timed_list("view-sort", 1000, has_rows, sort=["duration_us", "desc"])),
    Row("view-memory", "peak memory of mitm-view with a million flows, which were filtered and sorted", "180 MiB", at_most(180, "MiB"), server_memory),
    Row("view-page-heap", "heap of the page, which was scrolled through a million flows, in Chromium", "60 MiB", at_most(60, "MiB"), page_heap),
    Row("view-recording", "CPU of the recorder for a request of HTTP/1.1, plain, 1 KiB, while mitm-view shows its file in Chromium",
        "the recorder alone", at_most_times(1.1), while_recording),
    Row("view-mitmweb", "time until 100,000 flows are listed, time until they are filtered, and peak memory", "mitmweb with the same flows",
        at_most_times(0.1), beside_mitmweb),
]
