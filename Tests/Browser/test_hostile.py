"""A recording whose every field tries to do something changes nothing in the page, and causes no request."""
import json
import re

import case
import programs
import recordings
from browsers import Keys
from page import Page

OUTSIDE, CONTROL = "outside.example", "control.example"
# Servers of the browsers' makers, which a browser asks for updates by itself. No content of the recording names them.
OWN = re.compile(r"//([\w-]+\.)*(google|googleapis|gstatic|gvt1|mozilla|firefox)\.(com|net|org)[:/]")


class HostileRecording(case.Case):
    def setUp(self):
        super().setUp()
        # What leaves this machine is recorded by mitm-record, what stays on it is caught by a trap.
        self.trap = self.start(programs.Trap())
        self.recorder = self.start(programs.Recorder(self.directory / "sent.mflow"))
        self.browser = case.kind(proxy=self.recorder.address)
        self.addCleanup(self.browser.end)
        self.hostile = recordings.Hostile(OUTSIDE, self.trap.address)
        # The name of a file is shown, too.
        name = "<img src=x onerror=document.title=1>\u202e.har"
        self.view = self.start(programs.View(recordings.har(self.directory / name, self.hostile.entries())))

    def test_nothing_happens(self):
        page = Page(self.browser, self.view)
        page.until_counts(f"{len(self.hostile.entries())} flows")
        title = page.browser.script("return document.title")
        self.assertIn("<img src=x", title)
        self.all_columns(page)
        for number in range(len(self.hostile.entries())):
            self.everything_of(page, number)
        self.comparison(page)
        page.filter(f"~u '{self.hostile.markup}'")
        page.until("an expression is no markup", lambda: "of" in page.counts or page.is_shown("#filter-error"))
        self.unchanged(page, title)
        self.sent_nothing(page)

    def all_columns(self, page):
        page.click("Columns")
        page.until("the dialog is open", lambda: page.is_shown("#dialog"))
        for box in page.browser.all("#dialog input:not(:checked)"):
            box.click()
        page.press(Keys.ESCAPE)
        page.until("the name of the method is shown", lambda: any("<script>" in text for text in page.cells("Method")))

    def everything_of(self, page, number):
        """Each part of the details of a flow, each view of its contents, its preview."""
        page.to_list()
        page.press(Keys.ESCAPE, Keys.HOME, *[Keys.DOWN] * number)
        page.until(f"row {number} is reached", lambda: page.active_row == f"row-{number}" and not page.is_shown("#details"))
        page.press(Keys.ENTER)
        page.until(f"flow {number} is shown", lambda: page.is_shown("#details [role=tablist]"))
        tabs = page.texts("#details [role=tab]")
        for tab in tabs[1:] + tabs[:1]:
            page.click(tab, "#details")
            page.until(f"{tab} is shown", lambda: page.texts("#details [aria-selected=true][role=tab]") == [tab])
            page.until("it is loaded", lambda: not any(text == "…" for text in page.texts("#details pre")))
        for view in page.browser.script("return [...document.querySelector('#details select')?.options ?? []].map((option) => option.value)"):
            page.browser.script("""
                for (const select of document.querySelectorAll('#details select')) {
                    select.value = arguments[0];
                    select.dispatchEvent(new Event('change'));
                }""", view)
            self.loaded(page)
        if page.button("Preview", "#details"):
            page.click("Preview", "#details")
            page.until("the preview is there", lambda: page.one("#details iframe"))
            self.loaded(page)
        self.assertEqual(page.browser.script("return document.querySelectorAll('script, link').length"), 3)

    def loaded(self, page):
        """Waits until the server has answered all that the page has asked."""
        page.browser.script("return fetch('api/1/status').then((answer) => answer.text())")
        page.settled()

    def comparison(self, page):
        page.to_list()
        page.press(Keys.ESCAPE, Keys.HOME, "m", Keys.DOWN, Keys.DOWN, Keys.DOWN, Keys.ENTER)
        page.until("the comparison is there", lambda: page.is_shown("#dialog") and "json" in page.text("#dialog"))
        page.press(Keys.ESCAPE)

    def unchanged(self, page, title):
        self.assertEqual(page.browser.script("return document.title"), title)
        self.assertIsNone(page.browser.script("return window.owned ?? null"))
        self.assertEqual(page.browser.script("return location.href"), self.view.origin)
        shown = page.browser.script("return document.body.innerText + document.title + [...document.querySelectorAll('[title]')].map((e) => e.title)")
        self.assertEqual({character for character in self.hostile.forbidden if character in shown}, set())
        frames = page.browser.script("return [...document.querySelectorAll('iframe')].map((frame) => frame.getAttribute('sandbox'))")
        self.assertEqual([sandbox for sandbox in frames if sandbox != ""], [])

    def sent_nothing(self, page):
        """The recorder and the trap see a request that the browser makes; before it they have seen none."""
        self.assertEqual(self.trap.requests, [])
        page.browser.open(f"http://{self.trap.address}/control")
        page.until("the trap sees requests", lambda: any("/control" in request for request in self.trap.requests))
        try:
            page.browser.open(f"http://{CONTROL}/")
        except Exception as failure:  # the name does not exist
            self.assertIn("error", str(failure).lower())
        self.browser.end()
        self.assertEqual(self.recorder.end(), 0)
        dumped = programs.output("mitm-dump", "--format", "json", self.directory / "sent.mflow")
        urls = [flow["request"]["url"] if "request" in flow else f"//{flow['server']['host']}:" for flow in map(json.loads, dumped.splitlines())]
        seen = {url for url in urls if not OWN.search(url)}
        self.assertEqual(seen - {f"http://{CONTROL}/", f"http://{CONTROL}/favicon.ico"}, set())
        self.assertIn(f"http://{CONTROL}/", seen)
        self.assertEqual([request for request in self.trap.requests if "/control" not in request and "/favicon.ico" not in request], [])
