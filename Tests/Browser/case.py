"""What the tests share: one browser for all of them, and a directory of its own for each."""
import os
import pathlib
import tempfile
import unittest

import browsers

kind = browsers.kinds[os.environ.get("MITM_BROWSER", "chromium")]
_started = []


def browser():
    """The browser of all tests, which the first test starts."""
    if not _started:
        _started.append(kind())
    return _started[0]


def end():
    while _started:
        _started.pop().end()


class Case(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="mitm-browser-", ignore_cleanup_errors=True)
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def start(self, manager):
        """Starts something that ends with the test."""
        return self.enterContext(manager)
