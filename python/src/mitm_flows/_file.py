"""The frames of a flow file: "Layout" and "Reading" of docs/flow-file-format.md. A file is read block by block."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from typing import Literal

from ._errors import Damaged, EncryptedFileError, FlowFileError, NotAFlowFileError
from ._flow import Connection
from ._lz4 import decode_frame, xxh32
from ._records import client_connection, server_connection

SEGMENT, BLOCK, INDEX, FOOTER = 0x184D2A50, 0x184D2A51, 0x184D2A52, 0x184D2A53
LAST_SKIPPABLE = 0x184D2A5F
SIGNATURE = b"mflow\r\n\x1a"
MARKER = b"\x8bmfblk\xf3\n"
CHUNK = 256 * 1024
LARGEST_BLOCK = 134_262_996
LARGEST_FRAME = {SEGMENT: 4096, BLOCK: 6302, INDEX: 4096 * 6318 + 24, FOOTER: 36}
FOOTER_FRAME = 44
AGE = b"age-encryption.org/v1\n"
VERSION = 1


class Storage:
    """A file that is read in pieces. Its size is that at the time of opening: a recorder may append to it meanwhile."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "rb")
        self.size = os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        self._file.close()

    def read(self, offset: int, count: int) -> bytes:
        """The bytes from an offset on; fewer at the end of the file."""
        count = max(0, min(count, self.size - offset))
        parts = []
        while count > 0:
            part = os.pread(self._file.fileno(), count, offset)
            if not part:
                break
            parts.append(part)
            offset, count = offset + len(part), count - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def find(self, needles: tuple[bytes, ...], start: int, end: int) -> int | None:
        """The first offset in start..<end where one of the needles begins."""
        window, overlap = 1 << 20, max(map(len, needles)) - 1
        while start < end:
            data = self.read(start, min(window, end - start) + overlap)
            found = [at for at in (data.find(needle) for needle in needles) if 0 <= at < end - start]
            if found:
                return start + min(found)
            start += window
        return None


def has_checksum(payload: bytes) -> bool:
    """Whether the payload of a frame ends with the checksum of its preceding bytes."""
    return len(payload) > 4 and struct.unpack_from("<I", payload, len(payload) - 4)[0] == xxh32(payload[:-4])


class Block:
    """A block of a file. Its frames are decompressed when they are asked for."""

    def __init__(self, storage: Storage, offset: int, payload: bytes) -> None:
        self._storage, self.offset = storage, offset
        self.segment, self.sequence, records_frame, self._records_size, details_frame, self._details_size = struct.unpack_from("<qQIIII", payload, 8)
        count, self.flags, self.count, self.flows = struct.unpack_from("<HHII", payload, 40)
        self.chunks = [struct.unpack_from("<II", payload, 152 + 8 * index) for index in range(count)]
        self._start = offset + 8 + len(payload)
        self._details_start = self._start + records_frame
        self._content_start = self._details_start + details_frame
        self.end = self._content_start + sum(frame for frame, _ in self.chunks)
        self.lost = False
        self.records = b""
        self._details: bytes | None = None
        self._chunk: tuple[int, bytes] | None = None
        self._connections: dict[int, Connection | None] = {}

    @staticmethod
    def fits(payload: bytes) -> bool:
        """Whether a payload is long enough for its counts, and within the limits."""
        if len(payload) < 156:
            return False
        records_frame, records, details_frame, details, count = struct.unpack_from("<IIIIH", payload, 24)
        if max(records, details) > 32 << 20 or max(records_frame, details_frame) > (32 << 20) + 151:
            return False
        if count > 256 or len(payload) < 156 + 8 * count:
            return False
        chunks = [struct.unpack_from("<II", payload, 152 + 8 * index) for index in range(count)]
        return all(size <= CHUNK and frame <= CHUNK + 151 for frame, size in chunks) and all(size == CHUNK for _, size in chunks[:-1])

    def decode(self) -> None:
        """Decompresses the records. Raises Damaged."""
        self.records = decode_frame(self._storage.read(self._start, self._details_start - self._start), self._records_size)

    def is_intact(self) -> bool:
        try:
            self.decode()
            self.details(0, 0)
            for index in range(len(self.chunks)):
                self._decoded_chunk(index)
        except Damaged:
            return False
        return True

    def predecessor(self) -> int | None:
        """The name of the segment from which flows continue, from a record before those of flows."""
        position = 0
        while position + 16 <= len(self.records):
            length, kind = struct.unpack_from("<IB", self.records, position)
            if kind == 7:
                name: int = struct.unpack_from("<q", self.records, position + 8)[0]
                return name
            if kind == 4 or length < 8:
                return None
            position += length
        return None

    def connection(self, reference: int, kind: int) -> Connection | None:
        """The connection that a flow's record refers to: 1 for a client's, 2 for a server's."""
        if reference == 0:
            return None
        if reference not in self._connections:
            self._connections[reference] = self._read_connection(reference - 1, kind)
        return self._connections[reference]

    def _read_connection(self, start: int, kind: int) -> Connection | None:
        if start + 8 > len(self.records):
            return None
        length, found = struct.unpack_from("<IB", self.records, start)
        if found != kind:
            return None
        data = self.records[start + 8 : start + length]
        return client_connection(data) if kind == 1 else server_connection(data)

    def details(self, at: int, count: int) -> bytes:
        if self._details is None:
            frame = self._storage.read(self._details_start, self._content_start - self._details_start)
            self._details = decode_frame(frame, self._details_size) if self._details_size else b""
        if at + count > len(self._details):
            raise Damaged("a record points outside of the details")
        return self._details[at : at + count]

    def _decoded_chunk(self, index: int) -> bytes:
        if self._chunk is None or self._chunk[0] != index:
            start = self._content_start + sum(frame for frame, _ in self.chunks[:index])
            frame, size = self.chunks[index]
            self._chunk = (index, decode_frame(self._storage.read(start, frame), size))
        return self._chunk[1]

    def content(self, offset: int, size: int) -> bytes:
        parts, count = [], 0
        while count < size:
            index, inside = divmod(offset + count, CHUNK)
            taken = self._decoded_chunk(index)[inside : inside + size - count] if index < len(self.chunks) else b""
            if not taken:
                raise Damaged("a piece lies outside of its block's content")
            parts.append(taken)
            count += len(taken)
        return parts[0] if len(parts) == 1 else b"".join(parts)


#: A frame: what it is, its offset, the offset after it, and a block, or the payload of a segment header, an index or a footer.
Frame = tuple[str, int, int, Block | bytes]


class FlowFile:
    """A flow file on a disk. `report` receives a sentence for each place that is damaged.

    Raises EncryptedFileError and NotAFlowFileError.
    """

    def __init__(self, path: str, report: Callable[[str], None]) -> None:
        self.path, self._report = path, report
        self._storage = Storage(path)
        try:
            self._check_kind()
        except BaseException:
            self._storage.close()
            raise

    def close(self) -> None:
        self._storage.close()

    def report(self, text: str) -> None:
        self._report("%s: %s" % (self.path, text))

    def _check_kind(self) -> None:
        start, frame = self._storage.read(0, len(AGE)), self._frame(0, False)
        if start == AGE:
            raise EncryptedFileError(
                "%s is encrypted; decrypt it first: mitm-filter -i KEY-FILE '~all' %s -o FILE.mflow" % (self.path, self.path)
            )
        # A file that is empty, or ends within its first segment header, has no flows.
        if frame == "incomplete" and struct.pack("<I", SEGMENT).startswith(start[:4]):
            return
        if not isinstance(frame, tuple) and self._next_header(0, None, 1 << 20) is None:
            raise NotAFlowFileError("%s is not a flow file: no intact header of a segment or a block begins in its first MiB" % self.path)

    def is_sealed(self) -> bool:
        """Whether the file ends with the footer that a writer appends at its end."""
        frame = self._storage.read(max(0, self._storage.size - FOOTER_FRAME), FOOTER_FRAME)
        if len(frame) < FOOTER_FRAME or struct.unpack_from("<II", frame) != (FOOTER, 36):
            return False
        return frame[8:16] == SIGNATURE and has_checksum(frame[8:])

    def _frame(self, position: int, is_after_damage: bool) -> Frame | Literal["incomplete"] | None:
        """The frame at a position; None when the bytes are not a frame of a flow file."""
        head = self._storage.read(position, 8)
        if len(head) < 8:
            return "incomplete"
        magic, size = struct.unpack("<II", head)
        if not SEGMENT <= magic <= LAST_SKIPPABLE or size > LARGEST_FRAME.get(magic, 16 << 20):
            return None
        if is_after_damage and magic not in (SEGMENT, BLOCK):
            return None
        end = position + 8 + size
        if end > self._storage.size:
            return "incomplete"
        if magic > FOOTER:
            return "other", position, end, b""
        payload = self._storage.read(position + 8, size)
        if not has_checksum(payload):
            return None
        if magic == SEGMENT:
            return ("segment", position, end, payload) if len(payload) >= 24 and payload[:8] == SIGNATURE else None
        if magic == INDEX:
            return ("index", position, end, payload) if len(payload) >= 24 else None
        if magic == FOOTER:
            return ("footer", position, end, payload) if payload[:8] == SIGNATURE else None
        if payload[:8] != MARKER or not Block.fits(payload):
            return None
        block = Block(self._storage, position, payload)
        if block.end > self._storage.size:
            return "incomplete"
        following = self._storage.read(block.end, 4)
        is_followed = len(following) < 4 or SEGMENT <= struct.unpack("<I", following)[0] <= LAST_SKIPPABLE
        return ("block", position, block.end, block) if is_followed or block.is_intact() else None

    def _next_header(self, position: int, segment: int | None, limit: int) -> int | None:
        """The next header of a segment or a block before a limit; one of the current segment is preferred, because a body may be a flow file itself."""
        first = None
        while (found := self._storage.find((MARKER, SIGNATURE), position + 8, limit + 8)) is not None:
            position = found - 8
            magic, size = struct.unpack("<II", self._storage.read(position, 8))
            payload = self._storage.read(position + 8, size) if size <= LARGEST_FRAME[BLOCK] else b""
            if magic in (SEGMENT, BLOCK) and len(payload) == size and has_checksum(payload):
                (name,) = struct.unpack_from("<q", payload, 12 if magic == SEGMENT else 8)
                if segment is None or name == segment:
                    return position
                if first is None:
                    first, limit = position, min(limit, position + LARGEST_BLOCK)
            position += 1
        return first

    def frames(self) -> Iterator[Frame]:
        """The frames in their order. Bytes that are not a frame are skipped and reported. Raises FlowFileError for a later version."""
        position, segment = 0, None
        bad: tuple[int, bool] | None = None
        while position < self._storage.size:
            found = self._frame(position, bad is not None)
            if not isinstance(found, tuple):
                if bad is None:
                    bad = (position, found == "incomplete")
                header = self._next_header(position + 1, segment, self._storage.size)
                position = self._storage.size if header is None else header
                continue
            if bad is not None:
                self._report_skipped(bad, position)
                bad = None
            kind, _, end, rest = found
            if isinstance(rest, Block):
                segment = rest.segment
            elif kind == "segment":
                version, segment = struct.unpack_from("<H", rest, 8)[0], struct.unpack_from("<q", rest, 12)[0]
                if version > VERSION:
                    raise FlowFileError("%s has version %d of the flow file; install a later mitm-flows, which reads it" % (self.path, version))
            yield found
            position = end
        if bad is not None:
            self._report_skipped(bad, position)

    def _report_skipped(self, bad: tuple[int, bool], position: int) -> None:
        what = "the file ends in the middle of a block" if bad[1] else "damaged"
        self.report("%s at offset %d: %d bytes were skipped" % (what, bad[0], position - bad[0]))
