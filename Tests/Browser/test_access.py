"""The page for those who use no mouse, hear it, enlarge it, or have set preferences: axe finds nothing in any state of it."""
import importlib.util
import pathlib

import case
import programs
import recordings
import shop
from browsers import Keys
from page import Page

AXE = (pathlib.Path(importlib.util.find_spec("axe_playwright_python").origin).parent / "axe.min.js").read_text()


class Access(case.Case):
    def setUp(self):
        super().setUp()
        self.browser = case.browser()
        self.addCleanup(self.usual)
        path = self.directory / "shop.mflow"
        shop.record(path)
        self.view = self.start(programs.View(path))
        self.page = Page(self.browser, self.view)
        self.page.until_counts("26 flows")

    def usual(self):
        self.browser.resize(1280, 800)
        self.browser.prefer("prefers-color-scheme", "light")
        self.browser.prefer("prefers-reduced-motion", "no-preference")

    def violations(self, state):
        """What axe finds in the page as it is."""
        self.page.settled()
        if not self.browser.script("return typeof axe === 'object'"):
            self.browser.script(AXE)
        found = self.browser.script("return axe.run().then((result) => result.violations)")
        return [(state, one["id"], one["help"], node["target"], node["failureSummary"]) for one in found for node in one["nodes"][:2]]

    def test_axe_finds_nothing(self):
        page, found = self.page, []
        for scheme in ["light", "dark"]:
            self.browser.prefer("prefers-color-scheme", scheme)
            found += self.violations(f"{scheme}: list")
            page.filter("~websocket | ~c 500")
            page.until_counts("2 of 26")
            page.to_list()
            page.press(Keys.HOME, Keys.ENTER)
            page.until("the details are shown", lambda: page.is_shown("#details [role=tablist]"))
            for tab in page.texts("#details [role=tab]"):
                page.click(tab, "#details")
                page.until(f"{tab} is chosen", lambda: page.texts("#details [aria-selected=true][role=tab]") == [tab])
                page.until("it is loaded", lambda: "…" not in page.texts("#details pre"))
                found += self.violations(f"{scheme}: {tab}")
            page.to_list()
            page.press(Keys.END)
            page.click("Exchange", "#details")
            page.until("the failure is shown", lambda: "coupon service timed out" in page.text("#details .response"))
            found += self.violations(f"{scheme}: exchange")
            page.to_list()
            page.press(Keys.ESCAPE)
            for dialog in ["Columns", "Export", "Help"]:
                page.click(dialog, ".tools")
                page.until(f"{dialog} is open", lambda: page.is_shown("#dialog"))
                found += self.violations(f"{scheme}: {dialog}")
                page.press(Keys.ESCAPE)
                page.until(f"{dialog} is closed", lambda: not page.is_shown("#dialog"))
            page.write_filter("~c (")
            page.until("the mistake is shown", lambda: page.is_shown("#filter-error"))
            found += self.violations(f"{scheme}: mistake")
            page.filter("")
            page.until_counts("26 flows")
        self.assertEqual("\n".join(map(str, found)), "")

    def test_all_is_done_by_keys(self):
        page = self.page
        page.to_list()
        page.press("/")
        page.until("/ goes to the filter", lambda: page.focus == "filter")
        page.press("~c 500", Keys.ENTER)
        page.until_counts("1 of 26")
        page.press(Keys.ESCAPE)
        page.until("Escape clears the filter", lambda: page.counts == "26 flows")
        page.press(Keys.ESCAPE)
        page.until("Escape goes to the list", lambda: page.focus == "grid")
        page.press("?")
        page.until("? shows the keys", lambda: page.is_shown("#dialog"))
        page.press(Keys.ESCAPE)
        page.until("Escape closes them", lambda: not page.is_shown("#dialog"))
        page.to_list()
        page.press(Keys.END, Keys.UP, Keys.UP, Keys.ENTER)
        page.until("the flow is shown", lambda: "/checkout" in page.text("#details h2"))
        page.press("2")
        page.until("2 chooses a part", lambda: page.texts("#details [aria-selected=true]") == ["Timing"])
        page.press(Keys.LEFT)
        page.until("arrows choose parts", lambda: page.texts("#details [aria-selected=true]") == ["Exchange"])
        page.press("g")
        page.until("g hides the groups", lambda: not page.is_shown("#facets"))
        page.press("g")
        page.until("g shows the groups", lambda: page.is_shown("#facets"))
        page.press("d")
        page.until("d puts the details beside the list", lambda: page.browser.script("return document.body.classList.contains('side-right')"))
        page.press("d", Keys.ESCAPE)
        page.until("Escape closes the details", lambda: not page.is_shown("#details"))

    def test_tab_reaches_each_control_and_shows_where_it_is(self):
        page = self.page
        page.browser.script("document.activeElement.blur(); scrollTo(0, 0)")
        reached, hidden = [], []
        for _ in range(60):
            page.press(Keys.TAB)
            focus = page.focus
            if focus in reached[:1]:
                break
            reached.append(focus)
            is_marked = page.browser.script("""
                const style = getComputedStyle(document.activeElement);
                return document.activeElement === document.body || style.outlineStyle !== 'none' || style.boxShadow !== 'none' || style.borderColor !== '';""")
            if not is_marked:
                hidden.append(focus)
        self.assertEqual(hidden, [])
        for name in ["filter", "follow", "facets-toggle", "columns", "export", "help", "grid"]:
            self.assertIn(name, reached)
        self.assertTrue(any("shop.example" in focus for focus in reached), reached)

    def test_a_large_zoom_and_a_narrow_window_lose_nothing(self):
        page = self.page
        for name, width, height, zoom in [("zoom", 1280, 1000, 2), ("narrow", 420, 800, 1)]:
            self.browser.resize(width, height, zoom)
            self.browser.open(self.view.origin)
            page.until_counts("26 flows")
            page.filter("~c 500")
            page.until_counts("1 of 26")
            page.to_list()
            page.press(Keys.ENTER)
            page.until("the failure is shown", lambda: "coupon service timed out" in page.text("#details .response"))
            page.picture(f"access-{name}")
            wide = page.browser.script("return document.documentElement.scrollWidth - innerWidth")
            self.assertLessEqual(wide, 0, f"{name}: the page is wider than the window")
            outside = page.browser.script("""
                return [...document.querySelectorAll('header.top :is(input, button), #details header button, [role=tab]')].filter((control) => control.checkVisibility())
                    .filter((control) => { const box = control.getBoundingClientRect(); return box.left < 0 || box.right > innerWidth + 1 || box.width < 8; })
                    .map((control) => control.textContent || control.id);""")
            self.assertEqual(outside, [], name)
            self.assertGreater(page.browser.script("return document.querySelector('#scroller').clientHeight"), 40, name)
            page.press(Keys.ESCAPE)
            page.filter("")
            page.until_counts("26 flows")

    def test_preferences_are_kept(self):
        def background():
            return self.browser.script("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)")
        self.assertGreater(min(background()), 200)
        self.browser.prefer("prefers-color-scheme", "dark")
        self.page.until("the page is dark", lambda: max(background()) < 60)
        self.page.picture("access-dark")
        self.browser.prefer("prefers-reduced-motion", "reduce")
        moving = self.browser.script("""
            return [...document.querySelectorAll('*')].filter((e) => {
                const style = getComputedStyle(e);
                return style.animationName !== 'none' && parseFloat(style.animationDuration) > 0.01 || parseFloat(style.transitionDuration) > 0.01;
            }).map((e) => e.id || e.className || e.tagName)""")
        self.assertEqual(moving, [])


class Announcements(case.Case):
    def test_the_list_names_its_rows_and_counts(self):
        page = Page(case.browser(), self.start(programs.View(recordings.many(self.directory / "shop.har", 400))))
        page.until_counts("400 flows")
        grid = page.one("#grid")
        self.assertEqual((grid.get_attribute("role"), grid.get_attribute("aria-rowcount")), ("grid", "401"))
        page.to_list()
        page.press(Keys.END)
        page.until("the last row has its number", lambda: page.one("#row-399").get_attribute("aria-rowindex") == "401")
        page.until("it is announced", lambda: "/checkout" in page.text("#announcer"))
        page.filter("~c 500")
        page.until("the count is announced", lambda: page.text("#announcer") == "1 of 400")
