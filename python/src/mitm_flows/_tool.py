"""Runs the program mitm-filter, which selects flows and writes them as an Arrow stream."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO

import pyarrow as pa

from ._errors import DamagedFileError, ToolError, UnsealedFileError
from ._paths import Path, files_of
from ._reader import Mode, check_mode

SCHEMA = b"1"


@dataclass(frozen=True)
class Split:
    """A range of a flow file. A flow belongs to the range in which its last block begins, so each is in one split."""

    file: str
    offset: int
    length: int
    #: Flows that are whole in a block of the range; those in several blocks come in addition.
    flows: int
    sealed: bool


@dataclass(frozen=True)
class Query:
    """What is read, and how. Can be pickled, so that Spark can send it to its executors."""

    files: tuple[str, ...]
    where: str | None = None
    mode: Mode = "strict"
    #: The most bytes of each body and message, as `--body-limit` takes it.
    body_limit: str | None = None
    #: The program; the environment variable MITM_FILTER, or the one on the PATH.
    program: str | None = None
    #: Expressions in addition to `where`.
    filters: tuple[str, ...] = ()

    @property
    def expression(self) -> str:
        terms = ([self.where] if self.where else []) + list(self.filters)
        return " & ".join("(%s)" % term for term in terms) if len(terms) > 1 else terms[0] if terms else "~all"

    def _command(self, options: Sequence[str], files: Sequence[str]) -> list[str]:
        command = [program(self.program), *options]
        if self.body_limit:
            command += ["--body-limit", self.body_limit]
        return [*command, "--", self.expression, *map(_plain, files)]

    def splits(self, size: str = "64m") -> list[Split]:
        """Ranges of about a size, by the indexes of the files. Raises UnsealedFileError when the mode is strict."""
        command = [program(self.program), "--splits", size, "--json"]
        done = subprocess.run([*command, "--", *map(_plain, self.files)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode not in (0, 1, 3) or done.returncode == 3 and self.mode == "strict":
            _fail(done.returncode, done.stderr)
        splits = []
        for line in done.stdout.splitlines():
            one = json.loads(line)
            splits.append(Split(one["file"], one["offset"], one["length"], one["flows"], one["sealed"]))
            if self.mode == "strict" and not one["sealed"]:
                raise UnsealedFileError(
                    "%s is not sealed: it is being written, or its writer was killed; mode='permissive' reads what it has" % one["file"]
                )
        return splits

    def schema(self, columns: Sequence[str] | None) -> pa.Schema:
        """The columns of a stream, without reading a file. Raises ToolError for a column that does not exist."""
        with tempfile.NamedTemporaryFile(suffix=".mflow") as empty:
            return replace(self, files=(empty.name,), mode="permissive").stream(columns)[0]

    def stream(self, columns: Sequence[str] | None) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """The flows of all files. In strict mode their number is compared with that of the indexes.

        Raises ToolError, and in strict mode UnsealedFileError and DamagedFileError.
        """
        expected = sum(split.flows for split in self.splits("1t")) if self.mode == "strict" else None
        schema, batches = self._run(columns, None, self.files)
        return schema, self._checked(batches, expected, ", ".join(self.files[:3]))

    def split_batches(self, columns: Sequence[str] | None, split: Split) -> Iterator[pa.RecordBatch]:
        """The flows of a split. Raises as `stream` does."""
        where = "%s from offset %d to %d" % (split.file, split.offset, split.offset + split.length)
        expected = split.flows if self.mode == "strict" else None
        yield from self._checked(self._run(columns, (split.offset, split.length), [split.file])[1], expected, where)

    def _checked(self, batches: Iterator[pa.RecordBatch], expected: int | None, where: str) -> Iterator[pa.RecordBatch]:
        count = 0
        for batch in batches:
            count += batch.num_rows
            yield batch
        if expected is not None and self.expression == "~all" and count < expected:
            raise DamagedFileError("%s: %d of %d flows of the index were read; mode='permissive' accepts that" % (where, count, expected))

    def _run(
        self, columns: Sequence[str] | None, place: tuple[int, int] | None, files: Sequence[str]
    ) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        options = ["--format", "arrow"]
        if columns is not None:
            options += ["--columns", ",".join(columns)]
        if place is not None:
            # An engine has one task for each core.
            options += ["--range", "%d:%d" % place, "--jobs", "1"]
        errors = tempfile.TemporaryFile()
        process = subprocess.Popen(self._command(options, files), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
        assert process.stdout is not None
        try:
            stream = pa.ipc.open_stream(process.stdout)
        except pa.ArrowInvalid as error:
            self._finish(process, errors)
            raise ToolError("mitm-filter wrote no Arrow stream: %s" % error) from error
        version = (stream.schema.metadata or {}).get(b"mflow.schema")
        if version != SCHEMA:
            process.kill()
            process.wait()
            raise ToolError("mitm-filter writes version %r of the columns, and mitm-flows reads 1; install a later mitm-flows" % version)

        def rows() -> Iterator[pa.RecordBatch]:
            try:
                yield from stream
                self._finish(process, errors)
            except pa.ArrowInvalid as error:
                self._finish(process, errors)
                raise ToolError("the Arrow stream of mitm-filter is damaged: %s" % error) from error
            finally:
                # The reader of the rows may stop early.
                if process.poll() is None:
                    process.kill()
                    process.wait()
                if process.stdout is not None:
                    process.stdout.close()
                errors.close()

        return stream.schema, rows()

    def _finish(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        status = process.wait()
        if status in (0, 1) or status == 3 and self.mode == "permissive":
            return
        errors.seek(0)
        _fail(status, errors.read().decode("utf-8", "replace"))


def _fail(status: int, text: str) -> None:
    message = "\n".join(line.removeprefix("mitm-filter: ").removeprefix("Error: ") for line in text.strip().splitlines())
    if status == 3:
        raise DamagedFileError("%s; mode='permissive' reads the rest" % message)
    raise ToolError(message or "mitm-filter ended with status %d and no message" % status)


def _plain(path: str) -> str:
    """A path that is not taken for standard input."""
    return "./-" if path == "-" else path


def program(name: str | None) -> str:
    """The path of mitm-filter, of a version that fits. Raises ToolError."""
    wanted = name or os.environ.get("MITM_FILTER") or "mitm-filter"
    found = shutil.which(wanted)
    if found is None:
        raise ToolError("there is no program %s; install the tools of mitm, or name mitm-filter in the environment variable MITM_FILTER" % wanted)
    _check_version(found, os.stat(found).st_mtime_ns)
    return found


@functools.lru_cache
def _check_version(path: str, _modified: int) -> None:
    from . import __version__

    done = subprocess.run([path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    words = done.stdout.split()
    if done.returncode != 0 or len(words) < 2 or words[0] != "mitm-filter":
        raise ToolError("%s is not mitm-filter" % path)
    ours, theirs = (version.split(".")[:2] for version in (__version__, words[1]))
    # Before version 1 the second number changes with what is not compatible.
    if ours[0] != theirs[0] or ours[0] == "0" and ours != theirs:
        raise ToolError("%s has version %s, and mitm-flows %s; install the same version of both" % (path, words[1], __version__))


def query(
    path: Path | Sequence[Path],
    where: str | None,
    mode: Mode,
    body_limit: str | int | None,
    tool: Path | None,
) -> Query:
    """A query of the arguments that users give. Raises FileNotFoundError and ValueError."""
    check_mode(mode)
    return Query(
        tuple(files_of(path)),
        where,
        mode,
        None if body_limit is None else str(body_limit),
        None if tool is None else os.fspath(tool),
    )
