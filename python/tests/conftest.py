"""What the tests share: the fixtures of the project, and the tools, which MITM_TOOLS names or a debug build has."""

import os
import pathlib

import pytest

PROJECT = pathlib.Path(__file__).resolve().parents[2]
ARCHIVES = PROJECT / "Fixtures" / "archives" / "v1"
TOOLS = pathlib.Path(os.environ.get("MITM_TOOLS") or PROJECT / ".build" / "debug")
os.environ["PATH"] = "%s:%s" % (TOOLS, os.environ["PATH"])


@pytest.fixture(scope="session")
def archives() -> pathlib.Path:
    return ARCHIVES


@pytest.fixture(scope="session")
def project() -> pathlib.Path:
    return PROJECT
