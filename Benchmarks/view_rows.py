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
# Of the list, in the row on the page's heap: more than the page keeps.
PLACES = 60


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


    def wait_for_flows(self, count):
        """Waits until this many flows of a recording that grows are known."""
        end = time.monotonic() + 10
        while (found := self.call("GET", "status")["flows"]) < count:
            if time.monotonic() > end:
                raise Invalid("mitm-view has %d flows of %d" % (found, count))
            time.sleep(0.05)


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
        # As the page does: the list for another order takes the place of the one before.
        opened = shown.open(filter=FILTER)
        shown.wait(opened, is_done)
        for column in ["duration_us", "path", "url"]:
            opened = shown.open(sort=[column, "asc"], replaces=opened)
            shown.wait(opened, lambda rows: rows["done"] and has_rows(rows))
        shown.rows(shown.open(replaces=opened), MILLION - 120, 120)
        peak, now = memory(shown.process, "VmHWM"), memory(shown.process, "VmRSS")
    return [Result("view-memory", [(peak / 2**20, 180)], "MiB", "%.0f MiB at the end" % (now / 2**20))]


def page_heap(bench):
    """Of JavaScript and of the page's elements, after as many places of the list were shown as the page keeps, and a flow."""
    with view(bench, flows(bench, MILLION)) as shown, browser.chromium(bench) as page:
        shown.index(MILLION)
        page.open(shown.url)
        page.wait("return document.querySelectorAll('#layer .row').length > 10")
        for place in range(PLACES):
            page.run("const s = document.getElementById('scroller'); s.scrollTop = s.scrollHeight * %g" % (place / PLACES))
            page.wait("return document.querySelectorAll('#layer .row').length > 10")
            time.sleep(0.1)
        page.run("document.querySelector('#layer .row').click()")
        time.sleep(1)
        script, elements, process = page.heap()
    note = "%.1f MiB of it JavaScript's; the process of the page has %.0f MiB of memory" % (script / 2**20, process / 2**20)
    return [Result("view-page-heap", [((script + elements) / 2**20, 60)], "MiB", note)]


# -- mitmweb -------------------------------------------------------------------------------------------------------------------------


# An addon of mitmweb. It creates a file when all flows were read: requests for the list while it reads would delay it.
NOTE_READ = """
import asyncio, os
from mitmproxy import ctx

class Reading:
    async def running(self):
        self.task = asyncio.create_task(self.wait())

    async def wait(self):
        while len(ctx.master.view) < %d:
            await asyncio.sleep(0.05)
        open(%r, "w").close()

addons = [Reading()]
"""


@contextlib.contextmanager
def mitmweb(bench, recording, count):
    """mitmweb with a recording of a number of flows."""
    if not os.path.exists(MITMWEB):
        raise LeftOut("mitmproxy could not be installed")
    port, script, done = free_port(), bench.path("reading.py"), bench.path("mitmweb.done")
    with open(script, "w") as out:
        out.write(NOTE_READ % (count, done))
    command = [MITMWEB, "-n", "-r", recording, "--no-web-open-browser", "--web-port", str(port), "-s", script]
    began = time.monotonic()
    with open(bench.path("mitmweb.log"), "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    bench.started.append(process)
    try:
        yield SimpleNamespace(process=process, port=port, url="http://127.0.0.1:%d/" % port, began=began, done=done)
    finally:
        # It takes minutes to end by itself.
        process.kill()
        process.wait()
        bench.started.remove(process)


def listed_by_mitmweb(peer, count):
    """Seconds from its start until it has answered with all flows."""
    while not os.path.exists(peer.done):
        if peer.process.poll() is not None or time.monotonic() - peer.began > 900:
            raise Invalid("mitmweb did not read all flows in a quarter of an hour")
        time.sleep(0.05)
    connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=600)
    connection.request("GET", "/flows.json")
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200 or len(json.loads(text)) != count:
        raise Invalid("mitmweb answered %d, without all flows" % answer.status)
    return time.monotonic() - peer.began


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
    with mitmweb(bench, in_mitmproxys_format(bench), TENTH) as peer:
        listed = listed_by_mitmweb(peer, TENTH)
        with browser.chromium(bench) as page:
            page.open(peer.url)
            page.wait("return document.querySelectorAll('.flow-table tbody tr').length > 5", 600)
            filtered = page.run(browser.FILTER_IN_MITMWEB, FILTER) / 1e3
            heap = sum(page.heap()[:2])
        peak = memory(peer.process, "VmHWM") / 2**20
    ours = [statistics.median(column) for column in zip(*ours)]
    note = "%d flows found; mitmweb taken once" % expected
    return [
        Result("view-mitmweb-list", [(ours[0], listed)], "s", note),
        Result("view-mitmweb-filter", [(ours[1], filtered)], "s", note),
        Result("view-mitmweb-memory", [(ours[2], peak)], "MiB", "and %.0f MiB of heap in mitmweb's page" % (heap / 2**20)),
    ]


# -- while it is recorded -------------------------------------------------------------------------------------------------------------

# Counts the page's frames, the longest time between two of them, its longest task, and the messages that the server pushes.
COUNT = """
window.counted = { frames: 0, gap: 0, task: 0, updates: 0, last: performance.now(), began: performance.now() };
const counted = window.counted;
window.WebSocket = class extends WebSocket {
  constructor(...given) { super(...given); this.addEventListener('message', () => { counted.updates += 1; }); }
};
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) counted.task = Math.max(counted.task, entry.duration);
}).observe({ type: 'longtask' });
(function next(now) {
  counted.frames += 1; counted.gap = Math.max(counted.gap, now - counted.last); counted.last = now;
  requestAnimationFrame(next);
})(performance.now());
"""
COUNT_AGAIN = "Object.assign(window.counted, { frames: 0, gap: 0, task: 0, updates: 0, last: performance.now(), began: performance.now() })"
COUNTED = """
const { frames, gap, task, updates, began } = window.counted, seconds = (performance.now() - began) / 1000;
return { frames: frames / seconds, gap, task, updates: updates / seconds };
"""


def while_recording(bench):
    """CPU of the recorder for each request of wrk with its file shown by mitm-view in Chromium, which follows it, and without."""
    traffic, pairs, pages, costs, rates = Traffic.of(bench), [], [], [], []
    for _ in range(bench.rounds):
        with traffic.recorder("plain") as recorder:
            def load():
                return traffic.wrk(recorder.url("plain", "1k"))[0]
            with view(bench, recorder.target) as shown, browser.chromium(bench) as page:
                page.before_each_page(COUNT)
                page.open(shown.url)
                page.wait("return document.querySelectorAll('#layer').length == 1")
                page.run(COUNT_AGAIN)
                before = cpu_seconds(shown.process)
                ours, requests = traffic.cost(recorder, load)
                pages.append(page.run(COUNTED))
                costs.append((cpu_seconds(shown.process) - before) * 1e6 / requests)
                shown.wait_for_flows(requests)
                rates.append(requests / bench.seconds)
            theirs, _ = traffic.cost(recorder, load)
            pairs.append((ours, theirs))
    if max(page["updates"] for page in pages) > 11:
        raise Invalid("the server has sent %.1f updates a second to the page" % max(page["updates"] for page in pages))
    middle = {name: statistics.median(page[name] for page in pages) for name in pages[0]}
    note = "%.0f requests/s; mitm-view takes %.1f us CPU a request; the page has %.0f frames/s, %.0f ms at most between two, its longest " \
        "task takes %.0f ms, and it gets %.1f updates/s" % (statistics.median(rates), statistics.median(costs), middle["frames"],
                                                           middle["gap"], middle["task"], middle["updates"])
    return [Result("view-recording", pairs, "us CPU/request", note)]


ROWS = [
    Row("view-first-rows", "time from the start of mitm-view on a million flows to its first 60 rows", "300 ms", at_most(300, "ms"), first_rows),
    Row("view-filter-first", "time to the first rows of a list of a million flows where %s" % FILTER, "50 ms", at_most(50, "ms"),
        timed_list("view-filter-first", 50, has_rows, filter=FILTER)),
    Row("view-filter", "time until a million flows were tested with %s" % FILTER, "500 ms", at_most(500, "ms"),
        timed_list("view-filter", 500, is_done, filter=FILTER)),
    Row("view-sort", "time to the first rows of a million flows by duration", "1,000 ms", at_most(1000, "ms"),
        timed_list("view-sort", 1000, has_rows, sort=["duration_us", "desc"])),
    Row("view-memory", "peak memory of mitm-view with a million flows, which were filtered and sorted by duration, path and URL", "180 MiB", at_most(180, "MiB"), server_memory),
    Row("view-page-heap", "heap of the page in Chromium (JavaScript and elements), after 60 places of a million flows and a flow were shown", "60 MiB", at_most(60, "MiB"), page_heap),
    Row("view-recording", "CPU of the recorder for a request of HTTP/1.1, plain, 1 KiB, while mitm-view shows its file in Chromium",
        "the recorder alone", at_most_times(1.1), while_recording),
    Row("view-mitmweb", "time until 100,000 flows are listed, time until they are filtered, and peak memory", "mitmweb with the same flows",
        at_most_times(0.1), beside_mitmweb),
]
