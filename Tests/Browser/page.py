"""The page of mitm-view as a person uses it: what is shown, what can be clicked, what is pressed."""
import os
import pathlib
import re
import threading
import time

from browsers import Keys

LIMIT = 20


class Page:
    def __init__(self, browser, view, ready="flow"):
        self.browser, self.view = browser, view
        browser.allow_clipboard(view.origin.rstrip("/"))
        browser.open(view.address)
        self.until("the list is there", lambda: ready in self.counts)

    # What is shown

    @property
    def counts(self):
        return self.text("#counts")

    def text(self, selector):
        return self.browser.script("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def texts(self, selector):
        return self.browser.script("return [...document.querySelectorAll(arguments[0])].map((item) => item.textContent)", selector)

    def is_shown(self, selector):
        return self.browser.script("return document.querySelector(arguments[0])?.checkVisibility() ?? false", selector)

    def cells(self, column):
        """The texts of a column, by its title, in the rows that exist."""
        return self.browser.script("""
            const heads = [...document.querySelectorAll('#heads [role=columnheader]')];
            const index = heads.findIndex((head) => head.textContent.startsWith(arguments[0]));
            return [...document.querySelectorAll('#layer .row')].map((row) => row.children[index]?.textContent ?? '');""", column)

    @property
    def focus(self):
        """Where the focus is: an element's identifier, or what it is."""
        return self.browser.script("const e = document.activeElement; return e.id || e.getAttribute('aria-label') || e.textContent || e.tagName")

    @property
    def active_row(self):
        return self.browser.script("return document.querySelector('#grid').getAttribute('aria-activedescendant')")

    # Waiting

    def until(self, what, holds):
        """Waits until a condition holds. An element that was replaced meanwhile only means that it does not hold yet."""
        end = time.monotonic() + LIMIT
        error = None
        while time.monotonic() < end:
            try:
                if result := holds():
                    return result
            except (IndexError, TypeError, AttributeError) as failure:
                error = failure
            except Exception as failure:
                if "Stale" not in type(failure).__name__ and "NotInteractable" not in type(failure).__name__:
                    raise
                error = failure
            threading.Event().wait(0.02)
        self.picture("failed-" + re.sub(r"\W+", "-", what))
        raise AssertionError(f"{what}: not within {LIMIT} s; counts: {self.counts!r}, focus: {self.focus!r}, notice: {self.text('#notice')!r}"
                             + (f", error: {error!r}" if error else ""))

    def until_counts(self, text):
        self.until(f"the counts are {text}", lambda: self.counts == text)

    def settled(self):
        """Waits until the page has drawn what it was asked for."""
        self.browser.script("return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    # Input

    def one(self, selector):
        return self.browser.all(selector)[0]

    def button(self, name, within="body"):
        """A visible button or link with a name, which is its text or its label."""
        return self.browser.script("""
            return [...document.querySelectorAll(`${arguments[1]} :is(button, a, [role=tab])`)].find((button) => button.checkVisibility()
                && ((button.getAttribute('aria-label') ?? '').startsWith(arguments[0]) || button.textContent.trim().startsWith(arguments[0])));""", name, within)

    def click(self, name, within="body"):
        """Clicks a button when it is there."""
        def clicks():
            button = self.button(name, within)
            if button is None:
                return False
            button.click()
            return True
        self.until(f"'{name}' can be clicked", clicks)

    def click_at(self, selector):
        """Clicks the first element that matches, when it is there."""
        def clicks():
            self.one(selector).click()
            return True
        self.until(f"{selector} can be clicked", clicks)

    def press(self, *keys, held=None):
        self.browser.press(*keys, held=held)

    def to_list(self):
        self.browser.script("document.querySelector('#grid').focus()")

    def write_filter(self, expression):
        """Replaces the expression by what is typed."""
        self.click_at("#filter")
        self.press("a", held=Keys.CONTROL)
        self.press(expression)

    def filter(self, expression):
        self.write_filter(expression or "\ue017")  # the Delete key
        self.press(Keys.ENTER)

    @property
    def copied(self):
        return self.browser.script("return navigator.clipboard.readText()")

    # Pictures

    def picture(self, name):
        """Stores a picture of the window where MITM_PICTURES says, if it does."""
        if directory := os.environ.get("MITM_PICTURES"):
            self.settled()
            path = pathlib.Path(directory) / self.browser.name / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.browser.picture())
