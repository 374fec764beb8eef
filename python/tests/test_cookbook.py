"""The examples of docs/scale-out.md run as they are, except those of Spark and chdb, which Tests/Foreign/spark runs."""

import re
import subprocess

import pytest


def blocks(project, language):
    text = (project / "docs" / "scale-out.md").read_text()
    return re.findall(r"^```%s\n(.*?)^```" % language, text, re.MULTILINE | re.DOTALL)


@pytest.mark.filterwarnings("ignore::mitm_flows.FlowFileWarning")
def test_the_examples_of_the_cookbook_run(project, archives, captures, tmp_path, monkeypatch, capsys):
    (tmp_path / "captures").symlink_to(captures)
    (tmp_path / "torn.mflow").symlink_to(archives / "torn.mflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MITM_FLOWS_MOUNTS", "s3a://traffic=%s" % tmp_path)
    scope = {}
    examples = [block for block in blocks(project, "python") if "spark" not in block and "chdb" not in block]
    assert len(examples) >= 8
    for example in examples:
        exec(compile(example, "scale-out.md", "exec"), scope)
    shown = capsys.readouterr().out
    assert "torn.mflow is not sealed" in shown
    assert scope["failures"].num_rows == int(subprocess.run(["mitm-filter", "--count", "~c >=400", captures], capture_output=True).stdout)
    assert (tmp_path / "failures.parquet").exists()


def test_the_commands_of_the_cookbook_run(project, captures, tmp_path):
    (tmp_path / "captures").symlink_to(captures)
    for command in blocks(project, "sh"):
        subprocess.run(["bash", "-ec", command], cwd=tmp_path, check=True, capture_output=True)
