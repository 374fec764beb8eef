"""A list grows while a recorder writes, at a pace that a browser can show."""
import http.client
import json
import time

from websockets.sync.client import connect

import case
import programs
import recordings
import shop
from page import Page

REQUESTS = 300


class Live(case.Case):
    def setUp(self):
        super().setUp()
        self.shop = self.start(shop.Shop())
        path = self.directory / "live.mflow"
        self.recorder = self.start(programs.Recorder(path, "--flush-interval", "10ms", mode=f"upstream:http://{self.shop.address}"))
        self.view = self.start(programs.View(path))

    def send(self, count):
        connection = http.client.HTTPConnection(*self.recorder.address.rsplit(":", 1), timeout=20)
        for number in range(count):
            connection.request("GET", f"http://shop.example/missing/{number}")
            connection.getresponse().read()
        connection.close()

    def test_new_flows_appear_at_most_ten_times_a_second(self):
        page = Page(case.browser(), self.view)
        page.until("an empty recording is explained", lambda: "There are no flows yet." in page.text("#empty"))
        page.click("Follow")
        page.browser.script("""
            window.changes = [];
            new MutationObserver(() => window.changes.push(performance.now())).observe(document.querySelector('#counts'), { childList: true });""")
        sent, changes = 0, []
        while len(changes) < 4 and sent < 20 * REQUESTS:
            self.send(REQUESTS)
            sent += REQUESTS
            changes = page.browser.script("return window.changes")
        page.until_counts(f"{sent:,} flows")
        changes = page.browser.script("return window.changes")
        self.assertGreaterEqual(len(changes), 4)
        seconds = (changes[-1] - changes[0]) / 1000
        self.assertLessEqual(len(changes) - 1, 10 * seconds + 2, changes)
        page.until("the last flow is shown", lambda: page.active_row == f"row-{sent - 1}")
        page.until("it is drawn", lambda: f"/missing/{REQUESTS - 1}" in page.cells("Path"))

    def test_counts_are_sent_at_most_ten_times_a_second(self):
        status, content = self.view.call("POST", "/api/1/views", json.dumps({"filter": "~c 404"}))
        self.assertEqual(status, 201)
        times = []
        live = f"ws://127.0.0.1:{self.view.port}/api/1/live"
        with connect(live, additional_headers={"Authorization": f"Bearer {self.view.secret}"}) as socket:
            socket.send(json.dumps({"view": json.loads(content)["view"]}))
            begun = time.monotonic()
            self.send(REQUESTS)
            matched = 0
            while matched < REQUESTS:
                matched = json.loads(socket.recv(timeout=20))["matched"]
                times.append(time.monotonic())
        # What waited while the requests were sent has come at once; the last moment is known.
        self.assertLessEqual(len(times), 10 * (times[-1] - begun) + 2)

    def test_a_signal_ends_the_view(self):
        self.assertEqual(self.view.end(), 0)

    def test_a_lost_server_is_reported(self):
        page = Page(case.browser(), self.view)
        self.view.end()
        page.until("the loss is shown", lambda: "connection to mitm-view is lost" in page.text("#notice"))


class Damage(case.Case):
    def test_damage_is_shown(self):
        path = self.directory / "shop.har"
        recordings.many(path, 50)
        archive = self.directory / "damaged.mflow"
        programs.output("mitm-filter", "-w", archive, "~all", path)
        whole = archive.read_bytes()
        archive.write_bytes(whole[:len(whole) // 2])
        page = Page(case.browser(), self.start(programs.View("--no-follow", archive)))
        page.click("⚠")
        page.until("the damage has its sentence", lambda: page.is_shown("#dialog") and "damaged.mflow" in page.text("#dialog"))
