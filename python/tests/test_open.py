"""mitm_flows.open: the reader in Python alone. Tests/EndToEndTests compares its JSON with that of mitm-dump for every fixture."""

import json
import pathlib
import random
import subprocess
import sys
import tracemalloc

import mitm_flows
import pytest
from mitm_flows import _lz4

SEGMENT_HEADER = b"\x50\x2a\x4d\x18\x18\x00\x00\x00mflow\r\n\x1a"


def objects(path, **options):
    return [flow.to_dict() for flow in mitm_flows.open(path, **options)]


def test_pure_python_and_the_packages_lz4_and_xxhash_give_the_same_flows(archives, monkeypatch):
    pytest.importorskip("lz4")
    pytest.importorskip("xxhash")
    files = sorted(archives.glob("*.mflow"))
    fast = [objects(file, mode="permissive") for file in files]
    monkeypatch.setattr(_lz4, "_xxhash", None)
    monkeypatch.setattr(_lz4, "_lz4_block", None)
    assert [objects(file, mode="permissive") for file in files] == fast
    assert len(fast) >= 15


def test_a_flow_has_its_facts(archives):
    flow = next(flow for flow in mitm_flows.open(archives / "http.mflow") if flow.response_body)
    whole = flow.to_dict()
    assert (flow.method, flow.url, flow.status) == (whole["request"]["method"], whole["request"]["url"], whole["response"]["status"])
    assert (flow.state, flow.kind, flow.error) == ("complete", "http", None)
    assert [list(pair) for pair in flow.response.fields] == whole["response"]["headers"]
    assert len(flow.response_body) == whole["response"]["body"]["stored"]
    assert flow.started < flow.ended


def test_messages_of_a_websocket_are_in_their_order(archives):
    flow = next(flow for flow in mitm_flows.open(archives / "websocket.mflow") if flow.is_websocket)
    shown = flow.to_dict()["websocket"]["messages"]
    assert [(message.side, message.kind, message.size) for message in flow.messages] == [
        (message["from"], message["opcode"], message["size"]) for message in shown
    ]


def test_redaction_is_reported(archives):
    found = [redaction for flow in mitm_flows.open(archives / "redacted.mflow") for redaction in flow.redactions]
    assert {(one.rule, one.place, one.not_stored is not None) for one in found} >= {(found[0].rule, found[0].place, False)}
    assert all(one.count > 0 for one in found)
    assert any("redacted" in flow.tags for flow in mitm_flows.open(archives / "redacted.mflow"))


def test_content_that_is_cut_has_its_whole_size(archives):
    cuts = [cut for flow in mitm_flows.open(archives / "cut-content.mflow") for cut in flow.cuts.values()]
    assert cuts and all(cut.size > 0 for cut in cuts)
    flow = next(flow for flow in mitm_flows.open(archives / "cut-content.mflow") if "server" in flow.cuts and flow.response)
    assert len(flow.response_body) < flow.cuts["server"].size


def test_files_of_a_rotated_recording_give_the_flows_of_their_concatenation(archives, tmp_path):
    data = (archives / "continued.mflow").read_bytes()
    starts = [at for at in range(len(data)) if data.startswith(SEGMENT_HEADER, at)]
    assert len(starts) >= 2
    names = ["a.mflow"] + ["a-%05d.mflow" % number for number in range(1, len(starts))]
    for name, start, end in zip(names, starts, starts[1:] + [len(data)], strict=True):
        (tmp_path / name).write_bytes(data[start:end])
    whole = objects(archives / "continued.mflow", mode="permissive")
    assert objects([tmp_path / name for name in names], mode="permissive") == whole
    assert objects(tmp_path, mode="permissive") == whole
    alone = objects(tmp_path / names[1], mode="permissive")
    assert any("in an earlier file" in flow.get("error", {}).get("message", "") for flow in alone)


def test_an_encrypted_file_is_refused(tmp_path):
    file = tmp_path / "a.mflow.age"
    file.write_bytes(b"age-encryption.org/v1\n-> X25519 x\n")
    with pytest.raises(mitm_flows.EncryptedFileError, match="is encrypted; decrypt it first: mitm-filter -i"):
        mitm_flows.open(file)


def test_a_file_that_is_not_a_flow_file_is_refused(tmp_path):
    file = tmp_path / "a.har"
    file.write_bytes(b'{"log":{}}' * 1000)
    with pytest.raises(mitm_flows.NotAFlowFileError, match="a.har is not a flow file"):
        mitm_flows.open(file)
    with pytest.raises(FileNotFoundError, match="has no flow files"):
        mitm_flows.open(tmp_path)
    for missing in ("absent.mflow", "absent/"):
        with pytest.raises(FileNotFoundError, match="%s does not exist" % missing):
            mitm_flows.open(str(tmp_path / "x").removesuffix("x") + missing)
    with pytest.raises(ValueError, match="the list of paths is empty"):
        mitm_flows.open([])
    with pytest.raises(ValueError, match="mode is 'lenient'"):
        mitm_flows.open(file, mode="lenient")


def test_an_empty_file_has_no_flows_and_is_not_sealed(tmp_path):
    for count in (0, 3, 20):
        file = tmp_path / "a.mflow"
        file.write_bytes(SEGMENT_HEADER[:count])
        assert objects(file, mode="permissive") == []
        with pytest.raises(mitm_flows.UnsealedFileError, match="a.mflow is not sealed"):
            objects(file)


def test_a_torn_file_raises_unless_the_mode_is_permissive(archives):
    with pytest.raises(mitm_flows.UnsealedFileError, match="mode='permissive' reads what it has"):
        list(mitm_flows.open(archives / "torn.mflow"))
    recording = mitm_flows.open(archives / "torn.mflow", mode="permissive")
    assert len(list(recording)) > 0
    assert [sentence.partition(": ")[2] for sentence in recording.damage] == [
        "the file ends in the middle of a block at offset 9263: 400 bytes were skipped"
    ]


def test_damage_raises_unless_the_mode_is_permissive(archives):
    with pytest.raises(mitm_flows.DamagedFileError, match="damaged at offset 684: .* were skipped; mode='permissive'"):
        list(mitm_flows.open(archives / "damaged.mflow"))
    reported = []
    recording = mitm_flows.open(archives / "damaged.mflow", mode="permissive", report=reported.append)
    flows = len(list(recording))
    assert flows > 0
    assert (len(list(recording)), recording.damage * 2) == (flows, reported)


def test_blocks_that_only_the_index_has_are_missed(archives, tmp_path):
    from mitm_flows._file import FlowFile

    data = (archives / "http.mflow").read_bytes()
    file = FlowFile(str(archives / "http.mflow"), lambda _: None)
    blocks = [(start, end) for kind, start, end, _ in file.frames() if kind == "block"]
    file.close()
    start, end = blocks[-1]
    (tmp_path / "a.mflow").write_bytes(data[:start] + data[end:])
    with pytest.raises(mitm_flows.DamagedFileError, match="the index before offset .* has %d blocks" % len(blocks)):
        list(mitm_flows.open(tmp_path / "a.mflow"))


def test_memory_does_not_grow_with_the_file(archives, tmp_path):
    pytest.importorskip("xxhash")
    data = (archives / "long-bodies.mflow").read_bytes() * 100
    (tmp_path / "a.mflow").write_bytes(data)
    tracemalloc.start()
    flows = sum(1 for _ in mitm_flows.open(tmp_path / "a.mflow"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert flows >= 100
    assert peak < len(data) / 2


def test_a_file_with_wrong_bytes_gives_flows_or_one_of_the_errors(archives, tmp_path):
    generator = random.Random(7)
    file = tmp_path / "a.mflow"
    for number in range(300):
        data = bytearray((archives / generator.choice(["every-kind.mflow", "http.mflow", "continued.mflow", "redacted.mflow"])).read_bytes())
        for _ in range(generator.choice([1, 1, 5, 50])):
            data[generator.randrange(len(data))] = generator.randrange(256)
        file.write_bytes(data[: generator.randrange(len(data))] if number % 3 == 0 else data)
        try:
            objects(file, mode="permissive")
        except mitm_flows.FlowFileError:
            pass


def program(project, *arguments):
    return subprocess.run([sys.executable, "-I", project / "tools" / "mflow.py", *arguments], capture_output=True, text=True)


def test_the_program_prints_flows_and_structure(project, archives):
    done = program(project, archives / "http.mflow")
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line) for line in done.stdout.splitlines()] == objects(archives / "http.mflow")
    done = program(project, "--structure", archives / "http.mflow")
    assert done.stdout.splitlines()[0] == "0 segment 32 bytes"
    assert done.stdout.splitlines()[1].startswith("32 block ")


def test_the_program_ends_with_a_sentence_when_a_file_cannot_be_read(project, archives, tmp_path):
    (tmp_path / "a.txt").write_text("hello\n" * 99)
    assert program(project, tmp_path / "none.mflow").stderr == "mflow.py: %s/none.mflow: No such file or directory\n" % tmp_path
    done = program(project, tmp_path / "a.txt")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    done = program(project, archives / "torn.mflow")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)


def test_the_package_has_the_version_of_the_tools(project):
    version = (project / "Sources" / "ToolSupport" / "Version.swift").read_text()
    assert 'toolVersion = "%s"' % mitm_flows.__version__ in version


def test_the_package_is_typed():
    assert (pathlib.Path(mitm_flows.__file__).parent / "py.typed").exists()
