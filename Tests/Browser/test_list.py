"""The list: it is opened, filtered, sorted, moved through; its flows are shown, compared, copied."""
import json

import case
import programs
import recordings
from browsers import Keys
from page import Page


class List(case.Case):
    def setUp(self):
        super().setUp()
        self.view = self.start(programs.View(recordings.many(self.directory / "shop.har", 400)))
        self.page = Page(case.browser(), self.view)
        self.page.until_counts("400 flows")

    def test_the_secret_leaves_the_address(self):
        self.assertEqual(self.page.browser.script("return location.href"), self.view.origin)
        self.assertEqual(self.page.browser.script("return document.cookie"), "")
        self.page.browser.open(self.view.origin)
        self.page.until_counts("400 flows")

    def test_a_filter_finds_and_its_mistake_is_shown(self):
        page = self.page
        page.filter("~c 404 & ~d slow")
        page.until_counts("1 of 400")
        page.write_filter("~c (")
        page.until("the mistake is shown", lambda: page.is_shown("#filter-error") and page.one("#filter").get_attribute("aria-invalid") == "true")
        self.assertEqual(page.counts, "1 of 400")
        page.filter("~d nowhere")
        page.until("an empty list has its reason", lambda: "No flow matches the filter" in page.text("#empty"))
        page.click("Clear the filter", "#empty")
        page.until_counts("400 flows")

    def test_operators_and_earlier_expressions_are_completed(self):
        page = self.page
        page.filter("~m POST")
        page.until_counts("1 of 400")
        page.write_filter("~si")
        page.until("operators are offered", lambda: any("~size" in text for text in page.texts("#completion li")))
        page.press(Keys.TAB)
        page.until("Tab takes the first", lambda: page.one("#filter").get_attribute("value") != "~si")
        page.filter("")
        page.until_counts("400 flows")
        page.click_at("#filter")
        page.press(Keys.DOWN)
        page.until("earlier expressions are offered", lambda: any("~m POST" in text for text in page.texts("#completion li")))
        page.press(Keys.DOWN, Keys.ENTER)
        page.until_counts("1 of 400")

    def test_a_column_sorts_both_ways(self):
        page = self.page
        head = "#heads [aria-sort]:nth-child(8)"
        for order, first, last in [("ascending", 5, 1257), ("descending", 1257, 5)]:
            page.click("Duration", "#heads")
            page.until(f"the order is {order}", lambda: page.one(head).get_attribute("aria-sort") == order)
            page.to_list()
            page.press(Keys.HOME)
            page.until("the slowest is at an end", lambda: ("slow.example" in page.text("#row-0")) == (first > last))
            page.press(Keys.END)
            page.until("the other end is at the other", lambda: ("slow.example" in page.text("#row-399")) == (last > first))
        page.click("Duration", "#heads")
        page.until("the order is that of the recording", lambda: page.one(head).get_attribute("aria-sort") == "none")

    def test_keys_move_and_open_and_close(self):
        page = self.page
        page.to_list()
        for keys, row in [((Keys.HOME,), 0), (("j", "j", Keys.DOWN), 3), (("k", Keys.UP), 1), ((Keys.END,), 399), ((Keys.HOME,), 0)]:
            page.press(*keys)
            page.until(f"{keys} move to row {row}", lambda: page.active_row == f"row-{row}")
        page.press(Keys.ENTER)
        page.until("Enter shows the flow", lambda: "/item/0" in page.text("#details h2"))
        page.press(Keys.DOWN)
        page.until("the details follow", lambda: "/item/1" in page.text("#details h2"))
        page.press(Keys.ESCAPE)
        page.until("Escape closes the details", lambda: not page.is_shown("#details"))
        self.assertEqual(page.focus, "grid")

    def test_the_row_of_a_flow_stays_in_view_when_its_details_take_room(self):
        page = self.page
        page.to_list()
        page.press(Keys.HOME, *[Keys.DOWN] * 25)
        page.until("the row is reached", lambda: page.active_row == "row-25")
        page.press(Keys.ENTER)
        page.until("the flow is shown", lambda: "/item/25" in page.text("#details h2"))
        page.until("its row is in view", lambda: page.browser.script("""
            const [row, box] = ['#row-25', '#scroller'].map((selector) => document.querySelector(selector)?.getBoundingClientRect());
            return row?.top >= box.top - 1 && row.bottom <= box.bottom + 1;"""))

    def test_the_details_have_head_content_timing_and_json(self):
        page = self.page
        page.filter("~c 500")
        page.until_counts("1 of 400")
        page.to_list()
        page.press(Keys.ENTER)
        page.until("the content is laid out", lambda: "coupon service timed out" in page.text("#details .response"))
        self.assertIn("POST /checkout", page.text("#details .request"))
        page.click("Timing", "#details")
        page.until("the timing is shown", lambda: "Whole flow" in page.text("#details"))
        page.click("JSON", "#details")
        page.until("the object is shown", lambda: '"method": "POST"' in page.text("#details"))
        page.click("Exchange", "#details")
        page.press("c")
        page.until("it is copied as a command", lambda: page.copied.startswith("curl"))
        page.press("u")
        page.until("its URL is copied", lambda: page.copied == "http://shop.example/checkout")

    def test_two_flows_are_compared(self):
        page = self.page
        page.to_list()
        page.press(Keys.HOME, "m", Keys.DOWN, Keys.DOWN, Keys.ENTER)
        page.until("both are side by side", lambda: "/item/0" in page.text("#dialog") and "/item/2" in page.text("#dialog"))
        self.assertRegex(page.text("#dialog section"), r"^Answers")
        differences = page.browser.script("return [...document.querySelectorAll('#answers tbody tr')].map((row) => [...row.children].map((cell) => cell.textContent))")
        expected = json.loads(self.view.call("GET", "/api/1/flows/0/compare/2")[1])["differences"]
        self.assertEqual([row[0] for row in differences], [one["path"] for one in expected])
        self.assertGreater(len(expected), 0)
        page.press(Keys.ESCAPE)
        page.until("Escape closes the comparison", lambda: not page.is_shown("#dialog"))

    def test_all_formats_are_exported_and_what_they_lose_is_shown(self):
        page = self.page
        formats = json.loads(self.view.call("GET", "/api/1/language")[1])["exports"]
        page.press("e")
        page.until("the formats are offered", lambda: page.texts("#dialog .formats code") == [one["name"] for one in formats])
        page.click_at("#dialog [value=curl]")
        page.click_at("#dialog [value=share]")
        losses = json.loads(self.view.call("GET", "/api/1/views/v1/loss?format=curl&redact=share")[1])
        page.click("Export 400", "#dialog")
        page.until("the report is shown", lambda: page.text("#dialog [role=status]") == (losses["sentence"] or "The format holds all that the flows have."))
        page.click_at("#dialog [value=json]")
        page.click("Export 400", "#dialog")
        page.until("a format that loses nothing ends the dialog", lambda: not page.is_shown("#dialog"))

    def test_a_mistake_in_a_rule_of_redaction_is_shown(self):
        page = self.page
        page.press("e")
        page.until("the dialog is open", lambda: page.is_shown("#dialog"))
        page.click_at("#dialog textarea")
        page.press("nothing:of:this")
        page.click("Export 400", "#dialog")
        page.until("the mistake is shown", lambda: page.is_shown("#dialog .problem") and "nothing" in page.text("#dialog .problem"))

    def test_groups_and_times_limit_the_list(self):
        page = self.page
        page.click("slow.example", "#facets")
        page.until_counts("8 of 400")
        page.until("the condition has its own control", lambda: "slow.example" in page.text("#narrowings"))
        page.click("4xx", "#facets")
        page.until("no flow is slow and missing", lambda: "of 400" in page.counts and not page.counts.startswith("8"))
        for _ in range(2):
            count = len(page.texts("#narrowings button"))
            page.click_at("#narrowings button")
            page.until("the condition is gone", lambda: len(page.texts("#narrowings button")) < count)
        page.until_counts("400 flows")
        page.browser.drag(page.one("#strip"), 0.25, 0.75)
        page.until("a part of the time is left", lambda: " of 400" in page.counts)
        self.assertAlmostEqual(int(page.counts.split(" of ")[0]), 200, delta=20)
        page.click_at("#narrowings button")
        page.until_counts("400 flows")

    def test_columns_are_chosen_and_kept(self):
        page = self.page
        page.click("Columns")
        page.until("the dialog is open", lambda: page.is_shown("#dialog"))
        next(label for label in page.browser.all("#dialog label") if label.text.strip() == "http_version").click()
        page.press(Keys.ESCAPE)
        page.until("the column is there", lambda: "HTTP/1.1" in page.cells("Version"))
        page.browser.open(self.view.origin)
        page.until("the column is kept", lambda: "HTTP/1.1" in page.cells("Version"))
