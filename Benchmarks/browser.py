"""Chromium for the rows on pages, by Selenium of the virtual environment that tools/setup creates for benchmarks."""
import contextlib
import glob
import os
import shutil
import sys
import time

from running import CACHE, Invalid, LeftOut

# Types a filter into mitmweb's page. Milliseconds until the page has drawn the list that it makes: React draws it within the event, and the
# browser by the second frame after it.
FILTER_IN_MITMWEB = """
const [text, done] = arguments;
const box = document.querySelector('.filter-input input');
const began = performance.now();
Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(box, text);
box.dispatchEvent(new Event('input', { bubbles: true }));
requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
"""


class Page:
    def __init__(self, driver):
        self.driver = driver

    def open(self, url):
        self.driver.get(url)

    def wait(self, condition, seconds=60):
        """Waits until a script returns true."""
        end = time.monotonic() + seconds
        while not self.driver.execute_script(condition):
            if time.monotonic() > end:
                raise Invalid("the page did not get there in %d seconds: %s" % (seconds, condition))
            time.sleep(0.02)

    def run(self, script, *arguments):
        """The result of a script, which calls its last argument with it if it has arguments."""
        if not arguments:
            return self.driver.execute_script(script)
        return self.driver.execute_async_script(script, *arguments)

    def heap(self):
        """Bytes of JavaScript's heap, without garbage."""
        self.driver.execute_cdp_cmd("HeapProfiler.enable", {})
        self.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        return self.driver.execute_cdp_cmd("Runtime.getHeapUsage", {})["usedSize"]


@contextlib.contextmanager
def chromium(bench, *arguments):
    """A page in a headless Chromium with a profile of its own."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        raise LeftOut("chromium and chromium-driver are not installed")
    sys.path += [path for path in glob.glob(os.path.join(CACHE, "venv", "lib", "python3*", "site-packages")) if path not in sys.path]
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        raise LeftOut("selenium could not be installed")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,800",
                     "--user-data-dir=" + bench.path("chromium-%d" % time.monotonic_ns()), *arguments]:
        options.add_argument(argument)
    started = webdriver.Chrome(options=options, service=Service(driver))
    started.set_script_timeout(600)
    started.set_page_load_timeout(600)
    try:
        yield Page(started)
    finally:
        started.quit()
