"""Chromium for the rows on pages, by Selenium of a virtual environment that tools/setup creates for benchmarks or for tests."""
import contextlib
import glob
import os
import re
import shutil
import sys
import time

from running import CACHE, Invalid, LeftOut, ROOT

ENVIRONMENTS = [os.path.join(CACHE, "venv"), os.path.join(ROOT, ".build-test-venv")]

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

    def before_each_page(self, script):
        """Runs a script in each page before its own scripts."""
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})

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
        """Bytes without garbage: JavaScript's heap in use, that of the page's elements, and the memory that the page's process shares with
        no other."""
        command = self.driver.execute_cdp_cmd
        command("HeapProfiler.enable", {})
        command("HeapProfiler.collectGarbage", {})
        usage = command("Runtime.getHeapUsage", {})
        return usage["usedSize"], usage["embedderHeapUsedSize"], self.memory()

    def memory(self):
        sizes = [private(process) for process in descendants(self.driver.service.process.pid) if b"--type=renderer" in command_line(process)]
        if not sizes:
            raise Invalid("Chromium has no process for the page")
        # It keeps a spare process without a page, which is smaller.
        return max(sizes)


def command_line(process):
    try:
        return open("/proc/%d/cmdline" % process, "rb").read()
    except OSError:
        return b""


def descendants(process):
    """The processes that a process has started, and those that these have."""
    found = []
    for children in glob.glob("/proc/%d/task/*/children" % process):
        for child in map(int, open(children).read().split()):
            found += [child] + descendants(child)
    return found


def private(process):
    rollup = open("/proc/%d/smaps_rollup" % process).read()
    return sum(int(size) for size in re.findall(r"^Private_\w+:\s+(\d+) kB", rollup, re.M)) * 1024


def selenium():
    """Selenium's module and its class for the driver's process."""
    before = list(sys.path)
    for environment in ENVIRONMENTS:
        sys.path = before + glob.glob(os.path.join(environment, "lib", "python3*", "site-packages"))
        try:
            from selenium import webdriver
            from selenium.webdriver.chrome.service import Service
            return webdriver, Service
        except ImportError as error:
            reason = error
    sys.path = before
    raise LeftOut("selenium is neither in .build-bench/venv nor in .build-test-venv (%s); run tools/setup bench" % reason)


@contextlib.contextmanager
def chromium(bench, *arguments):
    """A page in a headless Chromium with a profile of its own."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        raise LeftOut("chromium and chromium-driver are not installed")
    webdriver, Service = selenium()
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
