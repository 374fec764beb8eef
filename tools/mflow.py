#!/usr/bin/env python3
"""Reads flow files. Written from docs/flow-file-format.md alone; uses only Python's standard library.

usage: mflow.py FILE...              one JSON object for each flow, bodies in base64, as `mitm-dump --format json --raw-body` prints them
       mflow.py --structure FILE...  the frames of a file

Exit status: 0, or 3 when something was damaged or torn, which is reported on stderr.
"""
import base64
import datetime
import json
import struct
import sys

SEGMENT, BLOCK, INDEX, FOOTER = 0x184D2A50, 0x184D2A51, 0x184D2A52, 0x184D2A53
SIGNATURE = b"mflow\r\n\x1a"
MARKER = b"\x8bmfblk\xf3\n"
CHUNK = 256 * 1024
KINDS = ["http", "tcp", "tls"]
STATES = ["complete", "incomplete", "failed"]
PLACES = ["connection", "request", "request.body", "response", "response.body", "messages"]
REASONS = ["rule", "undecodable", "unparsed", "too-large"]
PIECES = ["data", "text", "binary", "ping", "pong", "close"]
SIDES = ["client", "server"]
SETTINGS = {
    1: "HEADER_TABLE_SIZE",
    2: "ENABLE_PUSH",
    3: "MAX_CONCURRENT_STREAMS",
    4: "INITIAL_WINDOW_SIZE",
    5: "MAX_FRAME_SIZE",
    6: "MAX_HEADER_LIST_SIZE",
    8: "ENABLE_CONNECT_PROTOCOL",
    9: "NO_RFC7540_PRIORITIES",
}


class Lost:
    """Damaged content, of which only the size is known."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size


class Piece:
    """Data, or a message, and the bytes that were sent; cut is set for a message that is not all stored."""

    def __init__(self, at, kind, side, data, wire, cut):
        self.at, self.kind, self.side, self.data, self.wire, self.cut = at, kind, side, data, wire, cut
        # Of data the bytes that were sent, of a message those without compression.
        self.size = cut["size"] if cut else wire if kind == "data" else len(data)


def shown(piece):
    """A message's size and content; a mark where the content is damaged."""
    if isinstance(piece.data, Lost):
        return {"size": len(piece.data), "damaged": True}
    out = {"size": piece.size}
    if piece.size != len(piece.data):
        out["stored"] = len(piece.data)
    out["base64"] = base64.b64encode(piece.data).decode()
    if piece.cut:
        out["truncated"] = piece.cut
    return out


class Damaged(Exception):
    pass


# -- LZ4 frames --------------------------------------------------------------------------------------------------------------------------


def xxh32(data, seed=0):
    p1, p2, p3, p4, p5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
    mask = 0xFFFFFFFF

    def rotate(value, count):
        return ((value << count) | (value >> (32 - count))) & mask

    length, position = len(data), 0
    if length >= 16:
        lanes = [(seed + p1 + p2) & mask, (seed + p2) & mask, seed, (seed - p1) & mask]
        end = length - 15
        while position < end:
            for lane, word in enumerate(struct.unpack_from("<4I", data, position)):
                lanes[lane] = (rotate((lanes[lane] + word * p2) & mask, 13) * p1) & mask
            position += 16
        hashed = (rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18)) & mask
    else:
        hashed = (seed + p5) & mask
    hashed = (hashed + length) & mask
    while position + 4 <= length:
        hashed = (rotate((hashed + struct.unpack_from("<I", data, position)[0] * p3) & mask, 17) * p4) & mask
        position += 4
    for byte in data[position:]:
        hashed = (rotate((hashed + byte * p5) & mask, 11) * p1) & mask
    hashed = ((hashed ^ (hashed >> 15)) * p2) & mask
    hashed = ((hashed ^ (hashed >> 13)) * p3) & mask
    return hashed ^ (hashed >> 16)


def lz4_block(data):
    out, position = bytearray(), 0
    while position < len(data):
        token = data[position]
        position += 1
        count = token >> 4
        if count == 15:
            while True:
                count += data[position]
                position += 1
                if data[position - 1] != 255:
                    break
        out += data[position : position + count]
        position += count
        if position >= len(data):
            break
        distance = data[position] | data[position + 1] << 8
        position += 2
        if distance == 0 or distance > len(out):
            raise Damaged("a match points before the block")
        count = (token & 15) + 4
        if count == 19:
            while True:
                count += data[position]
                position += 1
                if data[position - 1] != 255:
                    break
        start = len(out) - distance
        while count > 0:
            piece = out[start : start + min(count, distance)]
            out += piece
            start += len(piece)
            count -= len(piece)
    return bytes(out)


def lz4_frame(data, size):
    """The content of one LZ4 frame of a flow file, which has a content size and checksums of the blocks and of the content."""
    try:
        magic, flags, descriptor, content_size = struct.unpack_from("<IBBQ", data, 0)
        if magic != 0x184D2204 or flags != 0x7C or descriptor & 0x8F or not 4 <= descriptor >> 4 <= 7 or content_size != size:
            raise Damaged("not an LZ4 frame of a flow file")
        if data[14] != (xxh32(data[4:14]) >> 8) & 0xFF:
            raise Damaged("the checksum of an LZ4 frame's header is wrong")
        position, out = 15, bytearray()
        while True:
            (length,) = struct.unpack_from("<I", data, position)
            position += 4
            if length == 0:
                break
            stored = data[position : position + (length & 0x7FFFFFFF)]
            position += length & 0x7FFFFFFF
            if struct.unpack_from("<I", data, position)[0] != xxh32(stored):
                raise Damaged("the checksum of an LZ4 block is wrong")
            position += 4
            out += stored if length >> 31 else lz4_block(stored)
            if len(out) > size:
                raise Damaged("an LZ4 frame is larger than its block's header states")
        if struct.unpack_from("<I", data, position)[0] != xxh32(bytes(out)):
            raise Damaged("the checksum of an LZ4 frame's content is wrong")
    except (IndexError, struct.error) as error:
        raise Damaged("an LZ4 frame ends too early") from error
    if len(out) != size or position + 4 != len(data):
        raise Damaged("an LZ4 frame differs in size from its block's header")
    return bytes(out)


# -- records -----------------------------------------------------------------------------------------------------------------------------


class Reader:
    def __init__(self, data):
        self.data, self.position = data, 0

    def end(self):
        return self.position >= len(self.data)

    def take(self, count):
        if self.position + count > len(self.data):
            raise Damaged("a record ends too early")
        self.position += count
        return self.data[self.position - count : self.position]

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def zigzag(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def sized(self):
        return self.take(self.varint())

    def text(self):
        return self.sized().decode("utf-8", "replace")

    def optional(self):
        count = self.varint()
        return None if count == 0 else self.take(count - 1).decode("utf-8", "replace")


def identity(reader):
    high, low = reader.number("Q"), reader.number("Q")
    text = "%016x%016x" % (high, low)
    return "-".join([text[:8], text[8:12], text[12:16], text[16:20], text[20:]])


def endpoint(reader):
    port = reader.number("H")
    return reader.text(), port


def address(host, port):
    return "[%s]:%d" % (host, port) if ":" in host else "%s:%d" % (host, port)


def tls(reader):
    bits = reader.number("B")
    if not bits & 1:
        return None
    started = reader.number("q") if bits & 16 else None
    ended = reader.number("q") if bits & 32 else None
    names = ["version", "cipher", "sni", "alpn", "ja3", "ja4", "verification_error"]
    found = {name: reader.optional() for name in names}
    out = {name: found[name] for name in names if found[name] is not None}
    if bits & 2:
        out["resumed"] = True
    if bits & 4:
        out["verified"] = bits & 8 != 0
    if started is not None and ended is not None:
        out["handshake_ms"] = milliseconds(ended - started)
    for _ in range(reader.varint()):
        reader.text()
    for _ in range(reader.varint()):
        reader.varint()
    return out


def settings(reader):
    if reader.end():
        return None
    count = reader.varint()
    if count == 0:
        return None
    said = []
    for _ in range(count - 1):
        one = {"id": reader.varint()}
        if one["id"] in SETTINGS:
            one["name"] = SETTINGS[one["id"]]
        one["value"] = reader.varint()
        said.append(one)
    return said


def client_connection(data):
    reader = Reader(data)
    name = identity(reader)
    reader.number("q")
    host, port = endpoint(reader)
    endpoint(reader)
    mode = reader.text()
    return {"id": name, "host": host, "address": address(host, port), "mode": mode, "tls": tls(reader), "settings": settings(reader)}


def server_connection(data):
    reader = Reader(data)
    name = identity(reader)
    reader.number("q")
    endpoint(reader)
    bits = reader.number("B")
    peer = address(*endpoint(reader)) if bits & 1 else None
    if bits & 2:
        endpoint(reader)
    if bits & 4:
        reader.number("q")
    return {"id": name, "address": peer, "tls": tls(reader), "settings": settings(reader)}


class Flow:
    def __init__(self, name, started):
        self.id, self.started, self.ended = name, started, None
        self.kind, self.state, self.stream = "tcp", "incomplete", 0
        self.scheme, self.host, self.port = "", "", 0
        self.client = self.server = self.error = self.closed_by = self.passthrough = self.comment = None
        self.request = self.response = None
        self.interims, self.pieces, self.tags = [], [], []
        self.notes, self.malformed, self.local_reply = [], [], None
        self.reset = self.torn = self.continues = False
        self.redacted, self.decoded = {}, 0
        self.cuts = {}
        self.before = None
        self.next_part = 0


def message(version, head, at):
    return {"version": version, "head": head, "started": at, "ended": None, "trailers": None, "size": 0}


def cut_of(reader):
    """The size and the digest of content that is not all stored."""
    out = {"size": reader.varint()}
    digest = reader.take(reader.number("B"))
    if digest:
        out["sha256"] = digest.hex()
    return out


class Record:
    """The prefix of a flow's record, and its texts."""

    def __init__(self, data):
        if len(data) < 152:
            raise Damaged("a flow's record is too short")
        self.flags, self.kind = data[5], data[6]
        self.id = identity(Reader(data[8:24]))
        self.started, self.ended = struct.unpack_from("<qq", data, 24)
        self.port, text_at, self.part, self.client, self.server, self.stream = struct.unpack_from("<HHIIII", data, 44)
        self.details_at, self.details, self.content_at, self.content = struct.unpack_from("<IIII", data, 64)
        texts = []
        for length in struct.unpack_from("<7I", data, 104):
            if text_at + length > len(data):
                raise Damaged("a flow's text is outside of its record")
            texts.append(data[text_at : text_at + length].decode("utf-8", "replace"))
            text_at += length
        self.scheme, self.host, _, _, _, self.error, self.comment = texts


def apply(flow, block, record):
    """Folds a record into its flow."""
    if record.flags & 1:
        flow.kind, flow.stream, flow.started = KINDS[record.kind], record.stream, record.started
        flow.scheme, flow.host, flow.port = record.scheme, record.host, record.port
    flow.client = block.connection(record.client, 1) or flow.client
    flow.server = block.connection(record.server, 2) or flow.server
    reader, at, position, joined = Reader(block.details(record.details_at, record.details)), record.started, record.content_at, b""
    while not reader.end():
        tag = reader.take(1)[0]
        at += reader.zigzag()
        content = Reader(reader.sized())
        if tag in (1, 2, 3):
            made = message((content.take(1)[0], content.take(1)[0]), content.data[2:], at)
            if tag == 1:
                flow.request = made
            elif tag == 2:
                flow.interims.append(made)
            else:
                flow.response = made
        elif tag == 4:
            head = content.take(1)[0]
            kind, side, size = PIECES[head >> 4], SIDES[head & 1], content.varint()
            wire = content.varint() if head & 2 else size
            if head & 2:
                content.varint()
            cut = cut_of(content) if head & 8 else None
            if position + size > record.content_at + record.content:
                raise Damaged("a piece lies outside of its record's content")
            try:
                part = block.content(position, size)
            except Damaged:
                part, block.lost = Lost(size), True
            is_lost = isinstance(joined, Lost) or isinstance(part, Lost)
            joined = Lost(len(joined) + len(part)) if is_lost else joined + part
            position += size
            half = flow.request if side == "client" else flow.response
            if kind == "data" and half:
                # Each part of a divided piece has the bytes on the wire of all of it.
                half["size"] += size if not head & 2 else 0 if flow.continues else wire
            flow.continues = head & 4 != 0
            if not flow.continues:
                flow.pieces.append(Piece(at, kind, side, joined, wire if head & 2 else len(joined), cut))
                joined = b""
        elif tag == 5:
            half = flow.request if content.take(1)[0] == 0 else flow.response
            if half:
                half["trailers"] = content.data[1:]
        elif tag == 6:
            half = flow.request if content.take(1)[0] == 0 else flow.response
            if half:
                half["ended"] = at
        elif tag == 7:
            end(flow, record, content, at)
        elif tag == 8:
            flow.notes.append((at, content.take(1)[0], content.data[1:]))
        elif tag == 9:
            flow.malformed.append((at, SIDES[content.take(1)[0]], content.data[1:]))
        elif tag == 10:
            version = (content.take(1)[0], content.take(1)[0])
            head = content.take(content.number("I"))
            flow.local_reply = (message(version, head, at), content.data[content.position :])
        elif tag == 11:
            redacted(flow, content)
        elif tag == 12:
            side = SIDES[content.take(1)[0]]
            flow.cuts[side] = cut_of(content)
        elif tag == 13:
            content.varint()
            flow.kind, flow.stream, flow.started = KINDS[record.kind], record.stream, at
            flow.scheme, flow.host, flow.port = record.scheme, record.host, record.port
            flow.before = (content.varint(), content.varint())


def redacted(flow, content):
    flow.decoded |= content.take(1)[0]

    def add(place, count, rule, reason=None):
        key = (rule, place, reason)
        flow.redacted[key] = flow.redacted.get(key, 0) + count

    for _ in range(content.varint()):
        add(content.take(1)[0], content.varint(), content.text())
    for _ in range(content.varint()):
        place, reason = content.take(1)[0], content.take(1)[0]
        add(place, content.varint(), content.text(), reason)


def end(flow, record, content, at):
    flow.state, flow.ended = STATES[content.take(1)[0]], at
    bits = content.take(1)[0]
    flow.reset = bits & 1 != 0
    flow.closed_by = SIDES[bits >> 2 & 1] if bits & 2 else None
    if bits & 8:
        flow.passthrough = (content.varint(), content.varint())
    content.zigzag()
    if record.flags & 8:
        flow.error = {"message": record.error}
        if bits & 16:
            flow.error["side"] = SIDES[bits >> 5 & 1]
    flow.comment = record.comment if record.flags & 16 else None
    flow.tags = [content.text() for _ in range(content.varint())]


# -- files -------------------------------------------------------------------------------------------------------------------------------


class Block:
    def __init__(self, data, offset, payload):
        self.offset, self.data = offset, data
        self.segment, self.sequence, self.records_frame, self.records_size, self.details_frame, self.details_size = struct.unpack_from(
            "<qQIIII", payload, 8
        )
        count, self.flags, self.count, self.flows = struct.unpack_from("<HHII", payload, 40)
        self.chunks = [struct.unpack_from("<II", payload, 152 + 8 * index) for index in range(count)]
        self.start = offset + 8 + len(payload)
        self.details_start = self.start + self.records_frame
        self.content_start = self.details_start + self.details_frame
        self.end = self.content_start + sum(frame for frame, _ in self.chunks)
        self.records, self.details_bytes, self.decoded, self.lost = b"", None, {}, False

    @staticmethod
    def fits(payload):
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

    def decode(self):
        self.records = lz4_frame(self.data[self.start : self.details_start], self.records_size)

    def intact(self):
        try:
            self.decode()
            self.details(0, 0)
            for index in range(len(self.chunks)):
                self.chunk(index)
        except Damaged:
            return False
        return True

    def predecessor(self):
        """The name of the segment from which flows continue, from a record before those of flows."""
        position = 0
        while position + 16 <= len(self.records):
            length, kind = struct.unpack_from("<IB", self.records, position)
            if kind == 7:
                return struct.unpack_from("<q", self.records, position + 8)[0]
            if kind == 4 or length < 8:
                return None
            position += length
        return None

    def connection(self, reference, kind):
        start = reference - 1
        if start < 0 or start + 8 > len(self.records):
            return None
        length, found = struct.unpack_from("<IB", self.records, start)
        if found != kind:
            return None
        data = self.records[start + 8 : start + length]
        return client_connection(data) if kind == 1 else server_connection(data)

    def details(self, at, count):
        if self.details_bytes is None:
            frame = self.data[self.details_start : self.content_start]
            self.details_bytes = lz4_frame(frame, self.details_size) if self.details_size else b""
        if at + count > len(self.details_bytes):
            raise Damaged("a record points outside of the details")
        return self.details_bytes[at : at + count]

    def chunk(self, index):
        if index not in self.decoded:
            start = self.content_start + sum(frame for frame, _ in self.chunks[:index])
            frame, size = self.chunks[index]
            self.decoded = {index: lz4_frame(self.data[start : start + frame], size)}
        return self.decoded[index]

    def content(self, offset, size):
        out = b""
        while len(out) < size:
            index, inside = divmod(offset + len(out), CHUNK)
            if index >= len(self.chunks):
                raise Damaged("a piece lies outside of its block's content")
            taken = self.chunk(index)[inside : inside + size - len(out)]
            if not taken:
                raise Damaged("a piece lies outside of its block's content")
            out += taken
        return out


class File:
    def __init__(self, data, path):
        self.data, self.path, self.damaged = data, path, False

    def complain(self, text):
        self.damaged = True
        print("mflow.py: %s: %s" % (self.path, text), file=sys.stderr)

    def look(self, position, after_damage):
        """The frame at a position: (kind, block or length), "incomplete", or None when it is not a frame of a flow file."""
        if position + 8 > len(self.data):
            return "incomplete"
        magic, size = struct.unpack_from("<II", self.data, position)
        limits = {SEGMENT: 4096, BLOCK: 6302, INDEX: 4096 * 6318 + 24, FOOTER: 36}
        if not SEGMENT <= magic <= 0x184D2A5F or size > limits.get(magic, 16 << 20):
            return None
        payload = self.data[position + 8 : position + 8 + size]
        if after_damage and magic not in (SEGMENT, BLOCK):
            return None
        if len(payload) < size:
            return "incomplete"
        if magic > FOOTER:
            return "other", 8 + size
        if not checked(payload):
            return None
        if magic == SEGMENT:
            return ("segment", 8 + size) if len(payload) >= 24 and payload[:8] == SIGNATURE else None
        if magic == INDEX:
            return "index", 8 + size
        if magic == FOOTER:
            return ("footer", 8 + size) if payload[:8] == SIGNATURE else None
        if payload[:8] != MARKER or not Block.fits(payload):
            return None
        block = Block(self.data, position, payload)
        if block.end > len(self.data):
            return "incomplete"
        (following,) = struct.unpack_from("<I", self.data, block.end) if block.end + 4 <= len(self.data) else (SEGMENT,)
        return ("block", block) if SEGMENT <= following <= 0x184D2A5F or block.intact() else None

    def resynchronise(self, position, segment):
        """The next header of a segment or a block; one of the current segment is preferred, because a body may be a flow file itself."""
        first = None
        limit = len(self.data)
        while position < limit:
            found = [at for at in (self.data.find(MARKER, position + 8), self.data.find(SIGNATURE, position + 8)) if at >= 0]
            if not found:
                break
            position = min(found) - 8
            magic, size = struct.unpack_from("<II", self.data, position)
            payload = self.data[position + 8 : position + 8 + size] if size <= 4096 else b""
            if magic in (SEGMENT, BLOCK) and len(payload) == size and checked(payload):
                (name,) = struct.unpack_from("<q", payload, 12 if magic == SEGMENT else 8)
                if segment is None or name == segment:
                    return position
                if first is None:
                    first, limit = position, min(limit, position + 134_258_898)
            position += 1
        return len(self.data) if first is None else first

    def frames(self):
        """(kind, offset, block or length); bytes that are not a frame are skipped and reported."""
        position, bad, segment, ended = 0, None, None, False
        while position < len(self.data):
            found = self.look(position, bad is not None)
            if found is None or found == "incomplete":
                if bad is None:
                    bad = (position, found == "incomplete")
                position = self.resynchronise(position + 1, segment)
                continue
            if bad is not None:
                self.passed(bad, position)
                bad = None
            kind, what = found
            if kind == "segment":
                (version,) = struct.unpack_from("<H", self.data, position + 16)
                if version > 1:
                    raise SystemExit("mflow.py: %s needs version %d of the flow file" % (self.path, version))
                (segment,) = struct.unpack_from("<q", self.data, position + 20)
            elif kind == "block":
                segment = what.segment
            yield kind, position, what
            position = what.end if kind == "block" else position + what
        if bad is not None:
            self.passed(bad, position)

    def passed(self, bad, position):
        what = "the file ends in the middle of a block" if bad[1] else "damaged"
        self.complain("%s at offset %d: %d bytes were skipped" % (what, bad[0], position - bad[0]))

    def flows(self, held=(None, {})):
        """The flows that end here. Those that are open at the end of the file before are held: (name of their segment, flows)."""
        segment, expected, open_flows = None, 0, {}
        for kind, offset, block in self.frames():
            if kind == "segment" or (kind == "block" and block.segment != segment):
                if segment is not None:
                    yield from self.unended(held[1])
                    held, open_flows = (segment, open_flows), {}
                expected = 0
                segment = block.segment if kind == "block" else struct.unpack_from("<q", self.data, offset + 20)[0]
            if kind != "block":
                continue
            if block.sequence > expected:
                self.complain("%d blocks are missing before offset %d" % (block.sequence - expected, offset))
            expected = block.sequence + 1
            try:
                block.decode()
                if held[0] is not None and block.predecessor() == held[0]:
                    open_flows, held = held[1], (None, {})
                yield from self.unended(held[1])
                yield from self.records(block, open_flows)
                if block.lost:
                    self.complain("content of the block at offset %d is damaged" % offset)
            except Damaged as error:
                self.complain("the block at offset %d: %s" % (offset, error))
        yield from self.unended(held[1])
        self.held = (segment, open_flows)

    @staticmethod
    def unended(open_flows):
        flows = sorted(open_flows.values(), key=lambda flow: (flow.started, flow.id))
        open_flows.clear()
        return flows

    def records(self, block, open_flows):
        position = 0
        while position < len(block.records):
            if position + 8 > len(block.records):
                raise Damaged("a record has a wrong length")
            length, kind = struct.unpack_from("<IB", block.records, position)
            if length < 8 or position + length > len(block.records):
                raise Damaged("a record has a wrong length")
            data = block.records[position : position + length]
            position += length
            if kind == 5:
                open_flows.pop(identity(Reader(data[8:24])), None)
            if kind != 4:
                continue
            record = Record(data)
            if record.flags & 1 and record.id in open_flows:
                yield open_flows.pop(record.id)
            is_known = record.id in open_flows
            flow = open_flows.pop(record.id, None) or Flow(record.id, record.started)
            repeats = not record.flags & 1 and block.details(record.details_at, record.details)[:1] == b"\x0d"
            flow.torn = flow.torn or (record.part != flow.next_part and (is_known or not repeats))
            flow.next_part = record.part if repeats else record.part + 1
            if not (repeats and is_known):
                apply(flow, block, record)
            if record.flags & 2:
                yield flow
            else:
                open_flows[record.id] = flow


def checked(payload):
    return len(payload) > 4 and struct.unpack_from("<I", payload, len(payload) - 4)[0] == xxh32(payload[:-4])


# -- JSON --------------------------------------------------------------------------------------------------------------------------------


def milliseconds(nanoseconds):
    return nanoseconds / 1e6


def rfc3339(nanoseconds):
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + "%09dZ" % rest


def text(data):
    return data.decode("utf-8", "replace")


def fields(data):
    """Field lines as [name, value] pairs; a folded line continues the preceding value."""
    pairs = []
    for line in data.split(b"\n"):
        whole, line = line, line[:-1] if line.endswith(b"\r") else line
        if not line:
            break
        if line[:1] in b" \t":
            if pairs:
                pairs[-1][1] += b"\r\n" + whole.rstrip(b" \t\r\n") if whole.endswith(b"\r") else b"\n" + whole.rstrip(b" \t")
            continue
        name, _, value = line[:1] + line[1:].partition(b":")[0], None, line[1:].partition(b":")[2]
        pairs.append([name, value.strip(b" \t\r\n")])
    return [[text(name), text(value)] for name, value in pairs]


def head_parts(half):
    """The parts of the start-line, and the field lines; for HTTP/2 the pseudo-fields by name."""
    head = half["head"]
    if half["version"][0] >= 2:
        pairs = fields(head)
        pseudo = {name: value for name, value in pairs if name.startswith(":")}
        return pseudo, [pair for pair in pairs if not pair[0].startswith(":")]
    line, _, rest = head.lstrip(b"\r\n").partition(b"\n")
    return line.rstrip(b"\r"), fields(rest)


def version_name(version):
    return "HTTP/%d" % version[0] if version[0] >= 2 else "HTTP/%d.%d" % version


def body(flow, side, half, pairs):
    pieces = [piece for piece in flow.pieces if piece.kind == "data" and piece.side == side]
    kept, cut = sum(len(piece.data) for piece in pieces), flow.cuts.get(side)
    if any(isinstance(piece.data, Lost) for piece in pieces):
        return {"size": half["size"], "stored": kept, "complete": False, "damaged": True}
    stored = b"".join(piece.data for piece in pieces)
    is_decoded = flow.decoded & (1 if side == "client" else 2) != 0
    is_complete = half["ended"] is not None and not cut and (is_decoded or kept == half["size"])
    out = {"size": half["size"], "stored": kept, "complete": is_complete}
    if is_decoded:
        out["stored_decoded"] = True
    out["base64"] = base64.b64encode(stored).decode()
    if cut:
        out["truncated"] = cut
    if next((value for name, value in pairs if name.lower() == "content-type"), "").lower().startswith("text/event-stream"):
        out["chunks"] = [{"at": rfc3339(piece.at), "size": piece.size} for piece in pieces]
    return out


def host_name(value):
    if value.startswith("["):
        return value[1:].partition("]")[0]
    return value.partition(":")[0]


def is_address(host):
    return ":" in host or all(character in "0123456789." for character in host)


def display_url(flow, method, target, authority, host):
    if method == "CONNECT" and not target:
        return authority or ""
    if not target.startswith("/") and not target.startswith("*") or method == "CONNECT":
        return target
    name, named = flow.host, host_name(authority if authority is not None else host or "")
    if (not name or is_address(name)) and named and not is_address(named):
        name = named
    default = 443 if flow.scheme.lower() == "https" else 80
    port = "" if flow.port in (default, 0) else ":%d" % flow.port
    return "%s://%s%s%s" % (flow.scheme, "[%s]" % name if ":" in name else name, port, target)


def request_json(flow):
    half = flow.request
    start, pairs = head_parts(half)
    if isinstance(start, dict):
        method, target, authority = start.get(":method", ""), start.get(":path", ""), start.get(":authority")
        version = half["version"]
    else:
        words = [word for word in text(start).split(" ") if word]
        method, target, authority, version = (words + [""])[0], (words + ["", ""])[1], None, half["version"]
    host = next((value for name, value in pairs if name.lower() == "host"), None)
    out = {"method": method, "scheme": flow.scheme}
    if authority is not None or host is not None:
        out["authority"] = authority if authority is not None else host
    path = target
    if target[:1] not in ("/", "*", "") and method != "CONNECT":
        parts = target.split("/", 3)
        path = "/" + parts[3] if len(parts) > 3 else "/"
    out.update(path=path, url=display_url(flow, method, target, authority, host), version=version_name(version), stream_id=flow.stream)
    out["headers"] = pairs
    if half["trailers"] is not None:
        out["trailers"] = fields(half["trailers"])
    if (half["size"] > 0 or half["ended"] is None) and response_status(flow) != 101:
        out["body"] = body(flow, "client", half, pairs)
    out["started"] = rfc3339(half["started"])
    if half["ended"] is not None:
        out["ended"] = rfc3339(half["ended"])
    return out


def response_status(flow):
    return status_line(flow.response)[0] if flow.response else None


def status_line(half):
    start, pairs = head_parts(half)
    if isinstance(start, dict):
        return int(start.get(":status", "0")), "", pairs
    words = text(start).split(" ", 2)
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    return status, words[2] if len(words) > 2 else "", pairs


def response_json(flow):
    half = flow.response
    status, reason, pairs = status_line(half)
    out = {"status": status, "reason": reason, "version": version_name(half["version"]), "headers": pairs}
    if half["trailers"] is not None:
        out["trailers"] = fields(half["trailers"])
    if (half["size"] > 0 or half["ended"] is None) and status != 101:
        out["body"] = body(flow, "server", half, pairs)
    out["started"] = rfc3339(half["started"])
    if half["ended"] is not None:
        out["ended"] = rfc3339(half["ended"])
    if flow.request:
        ended = flow.request["ended"]
        since = min(ended, half["started"]) if ended is not None else flow.request["started"]
        out["ttfb_ms"] = milliseconds(half["started"] - since)
    return out


def local_reply_json(flow):
    half, content = flow.local_reply
    status, reason, pairs = status_line(half)
    out = {"at": rfc3339(half["started"]), "status": status, "reason": reason, "version": version_name(half["version"]), "headers": pairs}
    out.update(size=len(content), base64=base64.b64encode(content).decode())
    return out


def malformed_json(flow):
    return [
        {"at": rfc3339(at), "from": side, "size": len(data), "base64": base64.b64encode(data).decode()} for at, side, data in flow.malformed
    ]


def notes_json(flow):
    out = []
    for at, side, message_bytes in flow.notes:
        out.append({"at": rfc3339(at)})
        if side:
            out[-1]["side"] = SIDES[side - 1]
        out[-1]["message"] = text(message_bytes)
    return out


def redacted_json(flow):
    out = []
    for (rule, place, reason), count in sorted(flow.redacted.items(), key=lambda item: item[0][2] is not None):
        if place >= len(PLACES) or (reason is not None and reason >= len(REASONS)):
            continue
        entry = {"rule": rule, "in": PLACES[place], "count": count}
        if reason is not None:
            entry["not_stored"] = REASONS[reason]
        out.append(entry)
    return out


def websocket_json(flow):
    messages, close = [], None
    for piece in flow.pieces:
        if piece.kind == "data":
            continue
        one = {"at": rfc3339(piece.at), "from": piece.side, "opcode": piece.kind} | shown(piece)
        messages.append(one)
        data = piece.data
        if isinstance(data, Lost):
            continue
        if piece.wire != piece.size:
            one["compressed_size"] = piece.wire
        if piece.kind == "close" and close is None and len(data) >= 2:
            close = {"code": data[0] << 8 | data[1], "reason": text(data[2:]), "by": piece.side}
    out = {"messages": messages}
    if close:
        out["close"] = close
    return out


def tcp_json(flow):
    out = {"messages": [{"at": rfc3339(piece.at), "from": piece.side} | shown(piece) for piece in flow.pieces]}
    if flow.cuts:
        out["truncated"] = [{"from": side} | flow.cuts[side] for side in SIDES if side in flow.cuts]
    if flow.closed_by:
        out.update(closed_by=flow.closed_by, how="reset" if flow.reset else "fin")
    return out


def flow_json(flow):
    out = {"id": flow.id, "kind": flow.kind, "state": flow.state, "started": rfc3339(flow.started)}
    error = flow.error
    if flow.before:
        out["state"] = "incomplete"
        error = error or {
            "message": "the beginning of this flow is in an earlier file of the recording (%d bytes from the client, %d from the server)"
            % flow.before
        }
    if flow.torn:
        out["state"], error = "incomplete", {"message": "a part of this flow's recording was lost"}
    if flow.ended is not None:
        out.update(ended=rfc3339(flow.ended), duration_ms=milliseconds(flow.ended - flow.started))
    if error:
        out["error"] = error
    if flow.client and flow.client["host"]:
        out["mode"] = flow.client["mode"]
        out["client"] = {"id": flow.client["id"], "address": flow.client["address"]}
        if flow.client["tls"]:
            out["client"]["tls"] = flow.client["tls"]
        if flow.client["settings"] is not None:
            out["client"]["settings"] = flow.client["settings"]
    out["server"] = {"host": flow.host, "port": flow.port}
    if flow.server:
        out["server"]["id"] = flow.server["id"]
    if flow.server and flow.server["address"]:
        out["server"]["address"] = flow.server["address"]
    if flow.server and flow.server["tls"]:
        out["server"]["tls"] = flow.server["tls"]
    if flow.server and flow.server["settings"] is not None:
        out["server"]["settings"] = flow.server["settings"]
    if flow.request:
        out["request"] = request_json(flow)
    if flow.interims:
        out["informational"] = [
            {"at": rfc3339(half["started"]), "status": status_line(half)[0], "headers": status_line(half)[2]} for half in flow.interims
        ]
    if flow.response:
        out["response"] = response_json(flow)
    if flow.local_reply:
        out["local_reply"] = local_reply_json(flow)
    is_websocket = any(piece.kind != "data" for piece in flow.pieces)
    if is_websocket:
        out["websocket"] = websocket_json(flow)
    if flow.kind == "tcp" or (response_status(flow) == 101 and not is_websocket):
        out["tcp"] = tcp_json(flow)
    if flow.passthrough:
        out["passthrough"] = {"bytes_from_client": flow.passthrough[0], "bytes_from_server": flow.passthrough[1]}
    if flow.malformed:
        out["malformed"] = malformed_json(flow)
    if flow.notes:
        out["notes"] = notes_json(flow)
    if flow.redacted or flow.decoded:
        out["redacted"] = redacted_json(flow)
    if flow.tags:
        out["tags"] = flow.tags
    if flow.comment is not None:
        out["comment"] = flow.comment
    return out


def main(arguments):
    structure = "--structure" in arguments
    damaged = False
    held = (None, {})
    for path in (argument for argument in arguments if argument != "--structure"):
        with open(path, "rb") as source:
            file = File(source.read(), path)
        if structure:
            for kind, offset, rest in file.frames():
                detail = "%d records, %d flows, %d content chunks" % (rest.count, rest.flows, len(rest.chunks)) if kind == "block" else "%d bytes" % rest
                print(offset, kind, detail)
        else:
            for flow in file.flows(held):
                print(json.dumps(flow_json(flow), ensure_ascii=False))
            held = file.held
        damaged = damaged or file.damaged
    for flow in File.unended(held[1]):
        print(json.dumps(flow_json(flow), ensure_ascii=False))
    return 3 if damaged else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
