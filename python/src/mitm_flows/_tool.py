"""Runs the program mitm-filter, which selects flows and writes them as an Arrow stream."""

from __future__ import annotations

import errno
import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypedDict, Unpack

import pyarrow as pa

from ._errors import ToolError, UnsealedFileError
from ._paths import Path, files_of
from ._reader import Mode, check_mode, unsealed_message
from ._stream import Stream, check

#: Of the files in one command. The arguments and the environment of a program have 2 MiB (execve(2)).
LARGEST_ARGUMENTS = 1 << 20


@dataclass(frozen=True)
class Split:
    """A range of a flow file. A flow belongs to the range in which its last block begins, so each is in one split."""

    file: str
    offset: int
    length: int
    #: Flows that are whole in a block of the range; those in several blocks come in addition.
    flows: int
    sealed: bool


SPLIT = [field.name for field in fields(Split)]


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

    def splits(self, size: str = "64m") -> list[Split]:
        """Ranges of about a size, by the indexes of the files. Raises UnsealedFileError when the mode is strict."""
        splits = []
        for files in _groups(list(map(_plain, self.files))):
            command = [program(self.program), "--splits", size, "--json", "--", *files]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            check(done.returncode, done.stderr, self.mode)
            splits += [Split(**{name: one[name] for name in SPLIT}) for one in map(json.loads, done.stdout.splitlines())]
        unsealed = next((split.file for split in splits if not split.sealed), None)
        if unsealed is not None and self.mode == "strict":
            raise UnsealedFileError(unsealed_message(unsealed))
        return splits

    def schema(self, columns: Sequence[str] | None) -> pa.Schema:
        """The columns of a stream, without reading a file. Raises ToolError for a column that does not exist."""
        with tempfile.NamedTemporaryFile(suffix=".mflow") as empty:
            stream = replace(self, files=(empty.name,), mode="permissive").stream(columns)
            stream.close()
            return stream.schema

    def stream(self, columns: Sequence[str] | None) -> Stream:
        """The flows of all files. In strict mode their number is compared with that of the indexes.

        Raises ToolError, and in strict mode UnsealedFileError and DamagedFileError.
        """
        expected = sum(split.flows for split in self.splits("1t")) if self.mode == "strict" else None
        return self._run(columns, [], self.files, expected, ", ".join(self.files[:3]))

    def split_stream(self, columns: Sequence[str] | None, split: Split) -> Stream:
        """The flows of a split. Raises as `stream` does."""
        place = "%s from offset %d to %d" % (split.file, split.offset, split.offset + split.length)
        # An engine has one task for each core.
        options = ["--range", "%d:%d" % (split.offset, split.length), "--jobs", "1"]
        return self._run(columns, options, [split.file], split.flows if self.mode == "strict" else None, place)

    def _run(
        self, columns: Sequence[str] | None, options: Sequence[str], files: Sequence[str], expected: int | None, place: str
    ) -> Stream:
        command = [program(self.program), "--format", "arrow", *options]
        if columns is not None:
            command += ["--columns", ",".join(columns)]
        if self.body_limit:
            command += ["--body-limit", self.body_limit]
        command += ["--", self.expression, *map(_plain, files)]
        try:
            return Stream(command, self.mode, expected if self.expression == "~all" else None, place)
        except OSError as error:
            if error.errno != errno.E2BIG:
                raise
            raise ToolError("%d files are too many for one query; name fewer, for example those of a day" % len(files)) from error


def byte_size(text: str) -> int:
    """The bytes of a size as mitm-filter takes it: "64k", "1.5g", in powers of 1024. Raises ValueError."""
    found = re.fullmatch(r"([0-9.]+)([kmgt]?)(i?b)?", text.strip().lower())
    if not found:
        raise ValueError("%r is not a size; for example 64k, 10m or 1.5g" % text)
    return int(float(found[1]) * 1024 ** " kmgt".index(found[2] or " "))


def packed(splits: Sequence[Split], size: int) -> list[list[Split]]:
    """Groups of about a size: large splits alone, small ones together. The largest is first, so that workers end at the same time."""
    groups: list[list[Split]] = []
    room = 0
    for split in sorted(splits, key=lambda split: -split.length):
        if not groups or split.length > room:
            groups.append([])
            room = size
        groups[-1].append(split)
        room -= split.length
    return groups


def _groups(files: Sequence[str]) -> Iterator[list[str]]:
    """The files in their order, in groups that fit in a command."""
    group: list[str] = []
    size = 0
    for file in files:
        # Each argument has a pointer and a byte at its end.
        bytes_needed = len(os.fsencode(file)) + 9
        if group and size + bytes_needed > LARGEST_ARGUMENTS:
            yield group
            group, size = [], 0
        group.append(file)
        size += bytes_needed
    if group:
        yield group


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


class ReadOptions(TypedDict, total=False):
    """The options of every function that reads tables.

    - mode: "strict" raises for files that are not sealed and for damage; "permissive" reads what can be read, and reports damage by
      FlowFileWarning.
    - body_limit: the most bytes of each body and message, such as "64k".
    - tool: mitm-filter, if it is not on the PATH and MITM_FILTER does not name it.
    """

    mode: Mode
    body_limit: str | int | None
    tool: Path | None


def query(path: Path | Sequence[Path], where: str | None = None, **options: Unpack[ReadOptions]) -> Query:
    """A query of the arguments that users give. Raises FileNotFoundError, TypeError and ValueError."""
    unknown = set(options) - ReadOptions.__optional_keys__
    if unknown:
        raise TypeError("there is no option %s; the options are %s" % (min(unknown), ", ".join(sorted(ReadOptions.__optional_keys__))))
    mode, body_limit, tool = options.get("mode", "strict"), options.get("body_limit"), options.get("tool")
    check_mode(mode)
    return Query(
        tuple(files_of(path)), where, mode, None if body_limit is None else str(body_limit), None if tool is None else os.fspath(tool)
    )
