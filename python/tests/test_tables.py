"""read, dataset and scan_polars: flows as tables, by mitm-filter."""

import subprocess

import duckdb
import mitm_flows
import polars as pl
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest
from mitm_flows import _tool


def counted(path, where="~all"):
    done = subprocess.run(["mitm-filter", "--count", where, path], capture_output=True, text=True)
    return int(done.stdout)


@pytest.fixture
def runs(captures, monkeypatch):
    """The commands of mitm-filter that read flows of the captures."""
    commands = []
    run = _tool.subprocess.Popen

    class Recorded(run):
        def __init__(self, command, **options):
            if "--format" in command and command[-1].startswith(str(captures)):
                commands.append(command)
            super().__init__(command, **options)

    monkeypatch.setattr(_tool.subprocess, "Popen", Recorded)
    return commands


def columns_of(command):
    return command[command.index("--columns") + 1].split(",")


def test_a_table_has_the_flows_of_all_files(captures):
    table = mitm_flows.read(captures)
    table.validate(full=True)
    assert table.num_rows == counted(captures)
    assert table.column_names[:4] == ["id", "kind", "state", "started"]
    assert sorted(table["id"].to_pylist()) == sorted(flow.id for flow in mitm_flows.open(captures))


def test_values_equal_those_of_the_reader_in_python(captures):
    table = mitm_flows.read(captures, columns=["id", "kind", "state", "started", "method", "url", "status"])
    expected = {flow.id: (flow.kind, flow.state, flow.started, flow.method, flow.url, flow.status) for flow in mitm_flows.open(captures)}
    started = pc.cast(table["started"], "int64").to_pylist()
    columns = [table[name].to_pylist() for name in ("kind", "state", "method", "url")]
    found = {
        name: (kind, state, at, method, url, status)
        for name, kind, state, method, url, at, status in zip(table["id"].to_pylist(), *columns, started, table["status"].to_pylist(), strict=True)
    }
    local = {flow.id for flow in mitm_flows.open(captures) if flow.local_reply}
    assert {name: facts for name, facts in found.items() if name not in local} == {
        name: facts for name, facts in expected.items() if name not in local
    }


def test_where_selects_flows_and_columns_are_those_that_are_named(captures):
    table = mitm_flows.read(captures, "~c 404", columns=["status", "resp_body"])
    assert table.column_names == ["status", "resp_body"]
    assert table["status"].to_pylist() == [404] * counted(captures, "~c 404")
    assert mitm_flows.read(captures, "~d no.such.host", columns=["id"]).num_rows == 0


def test_a_path_may_be_a_pattern_or_a_list(captures):
    whole = mitm_flows.read(captures, columns=["id"])["id"].to_pylist()
    assert mitm_flows.read(str(captures / "2026-01-0*"), columns=["id"])["id"].to_pylist() == whole
    assert mitm_flows.read(sorted(captures.iterdir()), columns=["id"])["id"].to_pylist() == whole
    with pytest.raises(FileNotFoundError, match="2027.* has no flow files"):
        mitm_flows.read(str(captures / "2027-*"))


def test_object_storage_is_read_at_its_mount_point(captures, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"not mounted; mount it, and name .* MITM_FLOWS_MOUNTS=s3a://bucket=/mnt"):
        mitm_flows.read("s3a://bucket/captures/2026-01-01/")
    monkeypatch.setenv("MITM_FLOWS_MOUNTS", "s3a://other=/none s3a://bucket/captures=%s" % captures)
    day = mitm_flows.read(captures / "2026-01-01", columns=["id"])
    assert mitm_flows.read("s3a://bucket/captures/2026-01-01/", columns=["id"]) == day
    assert mitm_flows.read(["s3a://bucket/captures/2026-01-0[1]"], columns=["id"]) == day
    assert mitm_flows.read("file://%s/2026-01-01" % captures, columns=["id"]) == day


def test_errors_of_the_tool_are_the_message(captures, archives):
    with pytest.raises(mitm_flows.ToolError, match=r"^there is no operator ~zz; --help-filter lists them"):
        mitm_flows.read(captures, "~zz")
    with pytest.raises(mitm_flows.ToolError, match="there is no column 'hots'; did you mean 'host'"):
        mitm_flows.read(captures, columns=["hots"])
    with pytest.raises(mitm_flows.ToolError, match="no program /none/mitm-filter"):
        mitm_flows.read(captures, tool="/none/mitm-filter")
    with pytest.raises(mitm_flows.ToolError, match="true is not mitm-filter"):
        mitm_flows.read(captures, tool="/bin/true")


def test_an_encrypted_file_is_refused(captures, tmp_path):
    file = tmp_path / "a.mflow.age"
    file.write_bytes(b"age-encryption.org/v1\n-> X25519 x\n")
    with pytest.raises(mitm_flows.ToolError, match="encrypted"):
        mitm_flows.read(file)


def test_another_version_of_the_tool_is_refused(captures, tmp_path):
    tool = tmp_path / "mitm-filter"
    tool.write_text("#!/bin/sh\necho mitm-filter 7.1.0\n")
    tool.chmod(0o755)
    with pytest.raises(mitm_flows.ToolError, match="has version 7.1.0, and mitm-flows %s; install the same" % mitm_flows.__version__):
        mitm_flows.read(captures, tool=tool)


def test_an_option_that_does_not_exist_is_refused(captures):
    for function in (mitm_flows.read, mitm_flows.dataset, mitm_flows.scan_polars):
        with pytest.raises(TypeError, match="there is no option limit; the options are body_limit, mode, tool"):
            function(captures, limit=3)


@pytest.mark.filterwarnings("ignore::mitm_flows.FlowFileWarning")
@pytest.mark.parametrize("name", ["torn", "damaged"])
def test_files_that_are_not_whole_raise_unless_the_mode_is_permissive(archives, name):
    file = archives / (name + ".mflow")
    errors = (mitm_flows.UnsealedFileError, mitm_flows.DamagedFileError)
    with pytest.raises(errors, match="mode='permissive' reads"):
        mitm_flows.read(file)
    with pytest.raises(errors):
        mitm_flows.dataset(file).to_table()
    flows = mitm_flows.dataset(file)
    with pytest.raises(duckdb.Error, match="permissive"):
        duckdb.sql("select count(*) from flows").fetchall()
    with pytest.raises(errors):
        mitm_flows.scan_polars(file).collect()
    expected = counted(file)
    with pytest.warns(mitm_flows.FlowFileWarning, match="%s.mflow: .*offset" % name):
        assert mitm_flows.read(file, mode="permissive").num_rows == expected
    flows = mitm_flows.dataset(file, mode="permissive")  # noqa: F841
    assert duckdb.sql("select count(*) from flows").fetchall() == [(expected,)]
    assert mitm_flows.scan_polars(file, mode="permissive").collect().height == expected


def test_rows_that_are_fewer_than_those_of_the_index_raise(captures, tmp_path):
    tool = tmp_path / "mitm-filter"
    real = _tool.program(None)
    tool.write_text('#!/bin/bash\ncase "$*" in *--splits*|*--version*) exec %s "$@";; esac\nexec %s -m 2 "$@"\n' % (real, real))
    tool.chmod(0o755)
    message = "2 of .* flows of the index were read"
    for read in (mitm_flows.read, lambda *a, **o: mitm_flows.dataset(*a, **o).to_table(), lambda *a, **o: mitm_flows.scan_polars(*a, **o).collect()):
        with pytest.raises(mitm_flows.DamagedFileError, match=message):
            read(captures, tool=tool)
    assert mitm_flows.read(captures, tool=tool, mode="permissive").num_rows == 2


def test_duckdb_pushes_columns_and_filters_into_the_scan(captures):
    flows = mitm_flows.dataset(captures)
    seen = []
    scan = flows.scanner

    class Watched(mitm_flows.FlowDataset):
        def scanner(self, columns=None, filter=None, **options):
            seen.append((columns, str(filter)))
            return scan(columns=columns, filter=filter, **options)

    watched = Watched(flows._query, None)  # noqa: F841
    rows = duckdb.sql("select host, count(*) from watched where status = 404 group by 1 order by 1").fetchall()
    assert seen == [(["host"], "(status == 404)")]
    table = mitm_flows.read(captures, "~c 404", columns=["host"])
    counts = table.group_by("host").aggregate([("host", "count")]).to_pylist()
    assert rows == sorted((one["host"], one["host_count"]) for one in counts)


def test_a_dataset_reads_the_columns_of_the_scan_and_of_its_filter(captures, runs):
    flows = mitm_flows.dataset(captures)
    table = flows.scanner(["host"], (ds.field("status") >= 400) & ds.field("method").is_valid()).to_table()
    assert table.column_names == ["host"]
    assert [set(columns_of(run)) for run in runs] == [{"host", "method", "status"}]
    assert flows.count_rows() == counted(captures)
    assert flows.count_rows(ds.field("status") == 404) == counted(captures, "~c 404")
    assert flows.head(2).num_rows == 2


def test_a_split_is_read_with_one_thread_and_a_table_with_one_for_each_core(captures, runs):
    asked = _tool.query(captures)
    splits = asked.splits("1k")
    rows = [row for split in splits for batch in asked.split_stream(["id"], split) for row in batch["id"].to_pylist()]
    assert [run[run.index("--jobs") + 1] for run in runs] == ["1"] * len(splits)
    runs.clear()
    table = mitm_flows.read(captures, columns=["id"])
    assert ["--jobs" in run for run in runs] == [False]
    assert rows == table["id"].to_pylist()


def test_polars_reads_the_columns_that_it_needs(captures, runs):
    frame = mitm_flows.scan_polars(captures)
    found = frame.filter(pl.col("status") >= 400).group_by("host").agg(pl.len()).sort("host").collect()
    assert [set(columns_of(run)) for run in runs] == [{"host", "status"}]
    assert found["len"].sum() == counted(captures, "~c >=400")
    assert frame.select(pl.len()).collect().item() == counted(captures)
    assert frame.head(3).collect().height == 3
    assert frame.filter(pl.col("kind") == "http").head(3).select("id").collect().height == 3
    assert frame.collect().equals(pl.from_arrow(mitm_flows.read(captures)).with_columns(pl.col(pl.Categorical).cast(pl.String)))


def test_times_are_in_utc_with_nanoseconds(captures):
    table = mitm_flows.read(captures, columns=["started"])
    assert str(table.schema.field("started").type) == "timestamp[ns, tz=UTC]"
    assert sorted(pc.cast(table["started"], "int64").to_pylist()) == sorted(flow.started for flow in mitm_flows.open(captures))
