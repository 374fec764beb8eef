"""Flows of flow files, in Python alone, block by block: "Reading" and "Continued flows" of docs/flow-file-format.md."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from ._errors import Damaged, DamagedFileError, UnsealedFileError
from ._file import Block, FlowFile
from ._flow import Flow
from ._paths import Path, files_of
from ._records import FlowRecord, fold, identity

Mode = Literal["strict", "permissive"]
OpenFlows = dict[str, Flow]


def check_mode(mode: str) -> None:
    if mode not in ("strict", "permissive"):
        raise ValueError("mode is %r; it must be 'strict' or 'permissive'" % mode)


def unsealed_message(path: str) -> str:
    """The sentence of UnsealedFileError."""
    return "%s is not sealed: it is being written, or its writer was killed; mode='permissive' reads what it has" % path


class Recording:
    """Iterates over the flows of flow files, in the order in which they ended. Each iteration reads the files again.

    Memory is that of a block, and of the flows that are open. `damage` has a sentence for each place that was skipped by the last iteration.
    """

    def __init__(self, files: list[str], mode: Mode, report: Callable[[str], None] | None) -> None:
        self.files, self.mode, self.damage = files, mode, list[str]()
        self._report = report

    def __iter__(self) -> Iterator[Flow]:
        self.damage = []
        held: tuple[int | None, OpenFlows] = (None, {})
        for path in self.files:
            file = FlowFile(path, self._add_damage)
            try:
                if self.mode == "strict" and not file.is_sealed():
                    raise UnsealedFileError(unsealed_message(path))
                reader = _FileReader(file, held)
                yield from reader.flows()
                held = reader.held
            finally:
                file.close()
        yield from _unended(held[1])

    def _add_damage(self, sentence: str) -> None:
        if self.mode == "strict":
            raise DamagedFileError(sentence + "; mode='permissive' reads the rest")
        self.damage.append(sentence)
        if self._report:
            self._report(sentence)


def open_recording(path: Path | Sequence[Path], *, mode: Mode = "strict", report: Callable[[str], None] | None = None) -> Recording:
    """Opens a flow file, a directory of them, or the files of a rotated recording in their order, to iterate over the flows.

    Uses Python alone, and the packages lz4 and xxhash when they are installed. A flow that continues in the next file is one flow.

    - mode: "strict" raises UnsealedFileError for a file without an end, and DamagedFileError where bytes are wrong or missing. "permissive" reads
      what can be read; `Recording.damage` tells what was skipped.
    - report: receives each sentence of `Recording.damage` when the damage is found.

    Raises FileNotFoundError, NotAFlowFileError, and EncryptedFileError: this reader has no keys.
    """
    check_mode(mode)
    files = files_of(path)
    for name in files:
        FlowFile(name, lambda _: None).close()
    return Recording(files, mode, report)


def _unended(open_flows: OpenFlows) -> list[Flow]:
    flows = sorted(open_flows.values(), key=lambda flow: (flow.started, flow.id))
    open_flows.clear()
    return flows


class _FileReader:
    """The flows that end in a file. Those that are open at the end of the file before are held: the name of their segment, and the flows."""

    def __init__(self, file: FlowFile, held: tuple[int | None, OpenFlows]) -> None:
        self.file, self.held = file, held
        self._segment: int | None = None
        self._open: OpenFlows = {}
        self._expected = self._indexed = 0

    def flows(self) -> Iterator[Flow]:
        for kind, offset, _, rest in self.file.frames():
            if isinstance(rest, Block):
                if rest.segment != self._segment:
                    yield from self._begin(rest.segment)
                yield from self._block(rest)
            elif kind == "segment":
                yield from self._begin(struct.unpack_from("<q", rest, 12)[0])
            elif kind == "index":
                self._indexed += struct.unpack_from("<I", rest, 16)[0]
            elif kind == "footer" and self._indexed != self._expected:
                # Every block before the last one that was read is counted, also those that were reported as missing.
                self.file.report("the index before offset %d has %d blocks; the file has %d" % (offset, self._indexed, self._expected))
        yield from _unended(self.held[1])
        self.held = (self._segment, self._open)

    def _begin(self, segment: int) -> Iterator[Flow]:
        if self._segment is not None:
            yield from _unended(self.held[1])
            self.held, self._open = (self._segment, self._open), {}
        self._segment = segment
        self._expected = self._indexed = 0

    def _block(self, block: Block) -> Iterator[Flow]:
        if block.sequence > self._expected:
            self.file.report("%d blocks are missing before offset %d" % (block.sequence - self._expected, block.offset))
        self._expected = block.sequence + 1
        try:
            block.decode()
            if self.held[0] is not None and block.predecessor() == self.held[0]:
                self._open, self.held = self.held[1], (None, {})
            yield from _unended(self.held[1])
            yield from self._records(block)
            if block.lost:
                self.file.report("content of the block at offset %d is damaged" % block.offset)
        except Damaged as error:
            self.file.report("the block at offset %d: %s" % (block.offset, error))

    def _records(self, block: Block) -> Iterator[Flow]:
        records, position = block.records, 0
        while position < len(records):
            length, kind = struct.unpack_from("<IB", records, position) if position + 8 <= len(records) else (0, 0)
            if length < 8 or position + length > len(records):
                raise Damaged("a record has a wrong length")
            data = records[position : position + length]
            position += length
            if kind == 5 and len(data) >= 24:
                self._open.pop(identity(data[8:24]), None)
            elif kind == 4:
                yield from self._part(block, FlowRecord(data))

    def _part(self, block: Block, record: FlowRecord) -> Iterator[Flow]:
        if record.flags & 1 and record.id in self._open:
            yield self._open.pop(record.id)
        is_known = record.id in self._open
        flow = self._open.pop(record.id, None) or Flow(record.id, record.started)
        repeats = not record.flags & 1 and block.details(record.details_at, record.details)[:1] == b"\x0d"
        flow.torn = flow.torn or (record.part != flow.next_part and (is_known or not repeats))
        flow.next_part = record.part if repeats else record.part + 1
        if not (repeats and is_known):
            fold(flow, block, record)
        if record.flags & 2:
            yield flow
        else:
            self._open[record.id] = flow
