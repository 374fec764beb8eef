"""The process of mitm-filter: it ends with its stream, and its errors are the message."""

import gc
import os
import pathlib
import signal
import subprocess
import sys

import mitm_flows
import pyarrow as pa
import pytest
from mitm_flows import _tool


def children(process=None):
    shown = subprocess.run(["ps", "-o", "comm=", "--ppid", str(process or os.getpid())], capture_output=True, text=True).stdout
    return [name for name in shown.split() if "mitm-filter" in name]


@pytest.fixture
def endless(tmp_path):
    """A tool that writes the same stream of Arrow without an end."""
    tool = tmp_path / "mitm-filter"
    tool.write_text(
        """#!%s
import os, sys
import pyarrow as pa
if "--version" in sys.argv:
    sys.exit(print("mitm-filter %s"))
batch = pa.record_batch([pa.array(["a" * 1000] * 1000)], schema=pa.schema([("id", pa.string())], metadata={"mflow.schema": "1"}))
writer = pa.ipc.new_stream(sys.stdout.buffer, batch.schema)
open(sys.argv[-1] + ".runs", "w").close()
while True:
    writer.write_batch(batch)
"""
        % (sys.executable, mitm_flows.__version__)
    )
    tool.chmod(0o755)
    return tool


def wrapper(tmp_path, script):
    """A tool that runs a script of the shell, in which $real is mitm-filter, for a query."""
    tool = tmp_path / "mitm-filter"
    tool.write_text('#!/bin/bash\nreal=%s\ncase "$*" in *--splits*|*--version*) exec $real "$@";; esac\n%s\n' % (_tool.program(None), script))
    tool.chmod(0o755)
    return tool


def test_a_stream_that_is_not_read_to_its_end_leaves_no_process(captures, endless):
    query = _tool.query(captures, mode="permissive", tool=endless)
    unread, begun, closed = query.stream(["id"]), query.stream(["id"]), query.stream(["id"])
    assert next(begun).num_rows == next(closed).num_rows == 1000
    assert len(children()) == 3
    closed.close()
    assert list(closed) == []
    del unread, begun
    gc.collect()
    assert query.schema(["id"]).names == ["id"]
    assert children() == []


def test_a_scanner_that_is_not_read_leaves_no_process(captures):
    scanner = mitm_flows.dataset(captures).scanner(["host"])
    del scanner
    gc.collect()
    assert children() == []


def test_ctrl_c_ends_the_process(captures, endless):
    file = next(captures.glob("*/*.mflow"))
    program = "import mitm_flows, sys\nmitm_flows.read(sys.argv[1], mode='permissive', tool=sys.argv[2])"
    begun = file.with_suffix(".mflow.runs")
    begun.unlink(missing_ok=True)
    source = str(pathlib.Path(mitm_flows.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": source}
    process = subprocess.Popen([sys.executable, "-c", program, file, endless], stderr=subprocess.PIPE, text=True, env=environment)
    while not begun.exists():
        assert process.poll() is None
    begun.unlink()
    (child,) = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True).stdout.split()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1].strip().endswith("KeyboardInterrupt")
    assert not pathlib.Path("/proc", child).exists()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'mitm-filter: the disk is gone; mount it' >&2; exit 2", r"^the disk is gone; mount it$"),
        ('$real "$@" | head -c 3000; echo "mitm-filter: the disk is gone" >&2; exit 2', "^the disk is gone$"),
        ('$real "$@" | head -c 3000', "mitm-filter wrote an Arrow stream that is damaged: "),
        ("echo hello", "mitm-filter wrote no Arrow stream: "),
        ("kill -KILL $$", "^SIGKILL ended mitm-filter$"),
        ('$real "$@" | head -c 3000; kill -SEGV $$', "^SIGSEGV ended mitm-filter"),
        ("exit 7", "^mitm-filter ended with status 7 and no message$"),
    ],
)
def test_a_run_that_fails_raises_what_failed(captures, tmp_path, script, message):
    with pytest.raises(mitm_flows.ToolError, match=message):
        mitm_flows.read(captures, tool=wrapper(tmp_path, script), mode="permissive")
    assert children() == []


def test_a_later_version_of_the_columns_is_refused(captures, tmp_path):
    schema = pa.schema([("id", pa.string())], metadata={"mflow.schema": "2"})
    with pa.OSFile(str(tmp_path / "stream"), "wb") as file, pa.ipc.new_stream(file, schema):
        pass
    with pytest.raises(mitm_flows.ToolError, match="writes version 2 of the columns, and this mitm-flows reads 1; install a later"):
        mitm_flows.read(captures, tool=wrapper(tmp_path, "cat %s/stream" % tmp_path))


def test_paths_and_expressions_are_no_commands_and_no_options(captures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = next(captures.glob("*/http.mflow")).read_bytes()
    for name in ["-", "--help", "$(touch run).mflow", "a b;touch run.mflow"]:
        pathlib.Path(name).write_bytes(data)
        assert mitm_flows.read(name, columns=["id"]).num_rows > 0
    assert mitm_flows.read("-", "--version", columns=["id"]).num_rows == 0
    assert not pathlib.Path("run").exists()


def test_thousands_of_files_are_read(captures, tmp_path):
    file = next(captures.glob("*/tcp.mflow"))
    one = mitm_flows.read(file, columns=["kind"]).num_rows
    for number in range(2500):
        (tmp_path / ("%04d.mflow" % number)).symlink_to(file)
    assert mitm_flows.read(tmp_path, columns=["kind"]).num_rows == 2500 * one
    assert [split.length for split in _tool.query(tmp_path).splits()] == [file.stat().st_size] * 2500
    # Long paths, so that the arguments of a command have more than 2 MiB.
    files = [str(tmp_path) + "/." * 1900 + "/0000.mflow"] * 800
    assert len(_tool.query(files).splits()) == 800
    with pytest.raises(mitm_flows.ToolError, match="^800 files are too many for one query; name fewer"):
        mitm_flows.read(files)


@pytest.mark.parametrize(("text", "size"), [("512", 512), ("64k", 65536), ("1.5M", 3 << 19), ("2gib", 2 << 30), ("1t", 1 << 40)])
def test_sizes_are_those_of_the_tools(text, size):
    assert _tool.byte_size(text) == size


def test_small_splits_share_a_task_and_each_is_in_one():
    lengths = [0, 64, 3, 70, 20, 30, 20, 1, 0]
    splits = [_tool.Split("a%d" % number, 0, length, 0, True) for number, length in enumerate(lengths)]
    groups = _tool.packed(splits, 64)
    assert [[split.length for split in group] for group in groups] == [[70], [64], [30, 20], [20, 3, 1, 0, 0]]
    assert sorted((split for group in groups for split in group), key=lambda split: split.file) == splits
    assert _tool.packed(splits[:1], 64) == [splits[:1]]
    assert _tool.packed([], 64) == []


def test_the_types_of_the_package_are_checked(project):
    pytest.importorskip("mypy")
    done = subprocess.run([sys.executable, "-m", "mypy", "--no-incremental"], cwd=project / "python", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
