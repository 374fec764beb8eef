"""LZ4 frames as flow files have them, and their checksums (XXH32). The packages lz4 and xxhash do the work when they are installed."""

import importlib
import struct
from typing import Any

from ._errors import Damaged


def _installed(name: str) -> Any:
    """A module, or None when its package is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


_xxhash, _lz4_block = _installed("xxhash"), _installed("lz4.block")


def _xxh32_in_python(data: bytes) -> int:
    p1, p2, p3, p4, p5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
    mask = 0xFFFFFFFF

    def rotate(value: int, count: int) -> int:
        return ((value << count) | (value >> (32 - count))) & mask

    length, position = len(data), 0
    if length >= 16:
        lanes = [(p1 + p2) & mask, p2, 0, -p1 & mask]
        end = length - 15
        while position < end:
            for lane, word in enumerate(struct.unpack_from("<4I", data, position)):
                lanes[lane] = (rotate((lanes[lane] + word * p2) & mask, 13) * p1) & mask
            position += 16
        hashed = (rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18)) & mask
    else:
        hashed = p5
    hashed = (hashed + length) & mask
    while position + 4 <= length:
        hashed = (rotate((hashed + struct.unpack_from("<I", data, position)[0] * p3) & mask, 17) * p4) & mask
        position += 4
    for byte in data[position:]:
        hashed = (rotate((hashed + byte * p5) & mask, 11) * p1) & mask
    hashed = ((hashed ^ (hashed >> 15)) * p2) & mask
    hashed = ((hashed ^ (hashed >> 13)) * p3) & mask
    return hashed ^ (hashed >> 16)


def _block_in_python(data: bytes, limit: int) -> bytes:
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
        if len(out) + count > limit:
            raise Damaged("an LZ4 block is larger than its block's header states")
        start = len(out) - distance
        while count > 0:
            piece = out[start : start + min(count, distance)]
            out += piece
            start += len(piece)
            count -= len(piece)
    return bytes(out)


def xxh32(data: bytes) -> int:
    """XXH32 with seed 0."""
    return int(_xxhash.xxh32_intdigest(data)) if _xxhash else _xxh32_in_python(data)


def _block(data: bytes, limit: int) -> bytes:
    """The content of an LZ4 block, which has at most `limit` bytes."""
    if _lz4_block is None:
        return _block_in_python(data, limit)
    try:
        return bytes(_lz4_block.decompress(data, uncompressed_size=limit))
    except _lz4_block.LZ4BlockError as error:
        raise Damaged("an LZ4 block is not valid") from error


def decode_frame(data: bytes, size: int) -> bytes:
    """The content of an LZ4 frame of a flow file: it has a content size and checksums of the blocks and of the content.

    Raises Damaged when the frame is not valid, or its content has another size.
    """
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
            out += stored if length >> 31 else _block(stored, size - len(out))
            if len(out) > size:
                raise Damaged("an LZ4 frame is larger than its block's header states")
        content = bytes(out)
        if struct.unpack_from("<I", data, position)[0] != xxh32(content):
            raise Damaged("the checksum of an LZ4 frame's content is wrong")
    except (IndexError, struct.error) as error:
        raise Damaged("an LZ4 frame ends too early") from error
    if len(content) != size or position + 4 != len(data):
        raise Damaged("an LZ4 frame differs in size from its block's header")
    return content
