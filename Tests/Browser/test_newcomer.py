"""Three jobs of somebody who sees the page for the first time, with nothing but the page: a real visit to a shop was recorded by mitm-record."""
import json
import os
import subprocess

import case
import programs
import shop
from browsers import Keys
from page import Page


class Newcomer(case.Case):
    def setUp(self):
        super().setUp()
        path = self.directory / "shop.mflow"
        shop.record(path)
        self.page = Page(case.browser(), self.start(programs.View(path)))

    def test_finds_why_the_checkout_fails_and_repeats_it(self):
        page = self.page
        page.picture("checkout-1-list")
        page.click("5xx", "#facets")
        page.until_counts("1 of 26")
        page.picture("checkout-2-failure")
        page.click_at("#layer .row")
        page.until("the answer tells why", lambda: "coupon service timed out" in page.text("#details .response"))
        self.assertIn("POST", page.text("#details h2"))
        page.picture("checkout-3-details")
        page.click("Copy curl", "#details")
        page.until("the page confirms it", lambda: "copied" in page.text("#notice"))
        page.picture("checkout-4-copied")
        command = page.copied
        # The same request reaches the shop again, with what was sent the first time.
        with shop.Shop() as again:
            environment = {"PATH": os.environ["PATH"], "http_proxy": f"http://{again.address}"}
            run = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, timeout=20)
        self.assertEqual(run.returncode, 0, run.stderr)
        answer = run.stdout[run.stdout.index("{"):]
        self.assertEqual(json.loads(answer), shop.FAILURE)
        self.assertEqual(json.loads(again.received[-1]), shop.CART)

    def test_finds_which_host_is_slow(self):
        page = self.page
        groups = lambda: page.texts("#facets section:has(h2) .facet")
        slowest = page.until("a host has a long time", lambda: next((text for text in groups() if shop.SLOW_HOST in text), None))
        self.assertRegex(slowest, r"\d+(\.\d)? ms$|\d+(\.\d+)? s$")
        page.picture("slow-1-groups")
        page.click("Duration", "#heads")
        page.click("Duration", "#heads")
        page.until("the slowest flows are first", lambda: page.cells("Host")[:3] == [shop.SLOW_HOST] * 3)
        page.picture("slow-2-sorted")
        page.to_list()
        page.press(Keys.HOME, Keys.ENTER)
        page.click("Timing", "#details")
        page.until("the time is in the wait", lambda: "Wait" in page.text("#details"))
        phases = page.browser.script("return [...document.querySelectorAll('#details tbody tr')].map((row) => [...row.children].map((cell) => cell.textContent))")
        wait = next(phase for phase in phases if phase[0] == "Wait")
        self.assertRegex(wait[2], r"^[2-9]\d\d(\.\d)? ms$")
        page.picture("slow-3-timing")

    def test_sees_what_a_websocket_sent(self):
        page = self.page
        page.click("websocket", "#facets")
        page.until_counts("1 of 26")
        page.picture("websocket-1-found")
        page.click_at("#layer .row")
        page.click("Messages", "#details")
        page.until("the conversation is listed", lambda: any('"subscribe"' in text for text in page.texts("#details [role=option]")))
        page.click_at("#details [placeholder='Messages with this text']")
        page.press("sold_out")
        page.until("the refusal is found", lambda: [text[:8] for text in page.texts("#details [role=option]") if "SOLD_OUT" in text] == ["↓ server"])
        page.until("the message is laid out", lambda: '"wanted"' in page.text("#details .message-content"))
        self.assertIn("tea pot", page.text("#details .message-content"))
        page.picture("websocket-2-messages")
