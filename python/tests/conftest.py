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


@pytest.fixture(scope="session")
def captures(tmp_path_factory) -> pathlib.Path:
    """A directory with the fixtures that are sealed and whole, laid out by day."""
    root = tmp_path_factory.mktemp("captures")
    for number, name in enumerate(["http", "websocket", "tcp", "every-kind", "bounds", "tls-failure", "notes-and-replies", "redacted"]):
        day = root / ("2026-01-%02d" % (number // 2 + 1))
        day.mkdir(exist_ok=True)
        (day / (name + ".mflow")).write_bytes((ARCHIVES / (name + ".mflow")).read_bytes())
    return root
