#!/usr/bin/env python3
"""Random content as Python's libraries write and read it, to compare the readers of the content views with.

usage: content_oracle.py messagepack|cbor|multipart|graphql SEED COUNT

Prints a line of JSON for each content. MessagePack and CBOR: the content in base64 and the lines in which it is to be shown. Multipart: the
content, and the parts that the email parser finds. GraphQL: a document.
With `graphql-same`, reads pairs of documents from stdin instead, and prints whether graphql-core reads the same from both."""
import base64
import json
import random
import sys


def quoted(text):
    return json.dumps(text, ensure_ascii=False)


def b64(data):
    return base64.b64encode(data).decode()


class Pairs(tuple):
    """A map as pairs, in order: keys need not be hashable."""


class Special:
    """What JSON does not have: its members, as text and value."""

    def __init__(self, *members):
        self.members = members


def word(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}.get(repr(value), repr(value))
    return str(value)


def inline(value):
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, (bytes, bytearray)):
        return '{"$bin": %s}' % quoted(b64(value))
    if isinstance(value, Special):
        return "{" + ", ".join('"%s": %s' % (name, inline(inner)) for name, inner in value.members) + "}"
    if isinstance(value, Pairs):
        return "{" + ", ".join("%s: %s" % (inline(k), inline(v)) for k, v in value) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(inline, value)) + "]"
    return word(value)


def layout(value, depth=0):
    pad, end = "  " * (depth + 1), "\n" + "  " * depth
    if isinstance(value, Special) and value.members[0][0] == "$tag":
        (_, number), (_, inner) = value.members
        return "{\n%s\"$tag\": %d,\n%s\"$value\": %s%s}" % (pad, number, pad, layout(inner, depth + 1), end)
    if isinstance(value, Pairs):
        if not value:
            return "{}"
        return "{\n" + ",\n".join(pad + inline(k) + ": " + layout(v, depth + 1) for k, v in value) + end + "}"
    if isinstance(value, (list, tuple)):
        if not value:
            return "[]"
        return "[\n" + ",\n".join(pad + layout(v, depth + 1) for v in value) + end + "]"
    return inline(value)


def text(r):
    return "".join(r.choice("aZ09 é漢😀\"\\\n\t\x01/ü") for _ in range(r.choice([0, 1, 3, 20, 40])))


def number(r):
    return r.choice([1, -1]) * r.getrandbits(r.choice([1, 4, 7, 8, 15, 16, 31, 32, 62]))


def real(r):
    return r.choice([0.0, -0.0, 1.5, 1e300, 1e-7, float("inf"), float("-inf"), float("nan"), r.random(), r.uniform(-1e9, 1e9)])


# MessagePack


def msgpack_value(r, p, depth):
    """Packs a random value: all of it by the library's own calls."""
    kind = r.randrange(10 if depth < 5 else 8)
    if kind == 0:
        p.pack(None)
    elif kind == 1:
        p.pack(r.random() < 0.5)
    elif kind == 2:
        p.pack(number(r))
    elif kind == 3:
        p.pack(r.getrandbits(64))
    elif kind == 4:
        p.pack(real(r))
    elif kind == 5:
        p.pack(text(r))
    elif kind == 6:
        p.pack(r.randbytes(r.choice([0, 1, 40, 300])))
    elif kind == 7:
        p.pack_ext_type(r.randrange(128), r.randbytes(r.choice([1, 2, 4, 8, 16, 3, 300])))
    elif kind == 8:
        count = r.choice([0, 1, 3, 17])
        p.pack_array_header(count)
        for _ in range(count):
            msgpack_value(r, p, depth + 1)
    else:
        count = r.choice([0, 1, 3, 17])
        p.pack_map_header(count)
        for _ in range(count):
            if r.random() < 0.8:
                p.pack(text(r))
            else:
                msgpack_value(r, p, 4)
            msgpack_value(r, p, depth + 1)


def messagepack(r):
    import msgpack

    packer = msgpack.Packer(autoreset=False, use_single_float=r.random() < 0.3)
    try:
        msgpack_value(r, packer, 0)
    except OverflowError:
        return messagepack(r)
    content = packer.bytes()
    value = msgpack.unpackb(
        content, use_list=False, strict_map_key=False, object_pairs_hook=Pairs,
        ext_hook=lambda code, data: Special(("$ext", code), ("$bin", Raw(data))))
    return {"content": b64(content), "shown": layout(value)}


class Raw(str):
    """Bytes in base64."""

    def __new__(cls, data):
        return str.__new__(cls, b64(data))


# CBOR


def cbor_value(r, depth, key=False):
    from cbor2 import CBORSimpleValue, CBORTag, undefined

    kind = r.randrange(8 if key else 12 if depth < 5 else 10)
    if kind == 0:
        return None
    if kind == 1:
        return r.random() < 0.5
    if kind == 2:
        return number(r)
    if kind == 3:
        return r.choice([1, -1]) * r.getrandbits(r.choice([64, 65, 128, 700]))
    if kind == 4:
        return real(r)
    if kind in (5, 6):
        return text(r)
    if kind == 7:
        return r.randbytes(r.choice([0, 1, 24, 300]))
    if kind == 8:
        return r.choice([undefined, CBORSimpleValue(r.choice([0, 19, 32, 255]))])
    if kind == 9:
        return CBORTag(r.choice([6, 1000, 70000, 2**40]), cbor_value(r, depth + 1))
    if kind == 10:
        return [cbor_value(r, depth + 1) for _ in range(r.choice([0, 1, 3, 30]))]
    return {cbor_value(r, depth, key=True): cbor_value(r, depth + 1) for _ in range(r.choice([0, 1, 3, 30]))}


def cbor_shown(value):
    from cbor2 import CBORSimpleValue, CBORTag, undefined

    if isinstance(value, CBORTag):
        return Special(("$tag", value.tag), ("$value", cbor_shown(value.value)))
    if isinstance(value, CBORSimpleValue):
        return Special(("$simple", value.value))
    if value is undefined:
        return Name("undefined")
    if isinstance(value, dict) or hasattr(value, "items"):
        return Pairs((cbor_shown(k), cbor_shown(v)) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return [cbor_shown(v) for v in value]
    return value


class Name:
    def __init__(self, name):
        self.name = name

    def __str__(self):
        return self.name


def indefinite(r, value):
    """Encodes strings, arrays and maps without their length, now and then."""
    import cbor2

    if r.random() < 0.5:
        return cbor2.dumps(value, canonical=r.random() < 0.5)
    if isinstance(value, str) and value:
        half = len(value) // 2
        return b"\x7f" + cbor2.dumps(value[:half]) + cbor2.dumps(value[half:]) + b"\xff"
    if isinstance(value, bytes):
        half = len(value) // 2
        return b"\x5f" + cbor2.dumps(value[:half]) + cbor2.dumps(value[half:]) + b"\xff"
    if isinstance(value, list):
        return b"\x9f" + b"".join(indefinite(r, v) for v in value) + b"\xff"
    if isinstance(value, dict):
        return b"\xbf" + b"".join(indefinite(r, k) + indefinite(r, v) for k, v in value.items()) + b"\xff"
    return cbor2.dumps(value)


def cbor(r):
    import cbor2

    content = indefinite(r, cbor_value(r, 0))
    return {"content": b64(content), "shown": layout(cbor_shown(cbor2.loads(content)))}


# Multipart


def multipart(r):
    import email
    import re

    lines = ["--B", "--B", "--B", "--B--", "--B \t", "--Bx", "-B", "", "", "A: b", "Content-Type: text/plain", " folded", "no field", "a\xe9\x00", "C:"]
    while True:
        count = r.randrange(1, 14)
        body = b"".join(r.choice(lines).encode("latin-1") + r.choice([b"\r\n", b"\n"]) for _ in range(count))
        if r.random() < 0.3:
            body = body.rstrip(b"\r\n")
        # Here the parser skips a close delimiter, against RFC 2046.
        if not re.search(rb"(?m)^--B[ \t]*\r?\n(--B[ \t]*\r?\n)*--B--", body):
            break
    message = email.message_from_bytes(b'Content-Type: multipart/mixed; boundary="B"\r\n\r\n' + body)

    def raw(value):
        return None if value is None else b64(value.encode("ascii", "surrogateescape"))

    parts = None
    if message.is_multipart():
        parts = [
            {
                "fields": [[name, " ".join(value.split())] for name, value in part.items()],
                "content": raw(part._payload if isinstance(part._payload, str) else ""),
            }
            for part in message.get_payload()
        ]
    defects = [type(defect).__name__ for defect in message.defects]
    return {
        "content": b64(body), "parts": parts, "preamble": raw(message.preamble), "epilogue": raw(message.epilogue),
        "isClosed": "CloseBoundaryNotFoundDefect" not in defects,
    }


# GraphQL


def graphql_value(r, depth=0):
    kind = r.randrange(9 if depth < 3 else 7)
    if kind == 7:
        return "[%s]" % r.choice([" ", ", "]).join(graphql_value(r, depth + 1) for _ in range(r.randrange(4)))
    if kind == 8:
        return "{%s}" % r.choice([" ", ","]).join("%s:%s" % (name(r), graphql_value(r, depth + 1)) for _ in range(r.randrange(3)))
    return ["1", "-2.5e3", "true", "null", "ENUM", "$v", r.choice(['"a\\"b"', '"""\n  block\n    text\n\n  end"""', '""'])][kind]


def name(r):
    return r.choice(["a", "b", "user", "on", "query", "fragment", "_x1", "type"])


def arguments(r):
    if r.random() < 0.6:
        return ""
    return "(%s)" % r.choice([" ", ", "]).join("%s: %s" % (name(r), graphql_value(r)) for _ in range(r.randrange(1, 4)))


def directives(r):
    return "".join(" @%s%s" % (r.choice(["include", "skip", "d"]), arguments(r)) for _ in range(r.choice([0, 0, 0, 1, 2])))


def selections(r, depth=0):
    def one():
        kind = r.randrange(6)
        if kind == 0:
            return "...F" + directives(r)
        if kind == 1 and depth < 4:
            return "... %s%s %s" % (r.choice(["on User", ""]), directives(r), selections(r, depth + 1))
        alias = r.choice(["", "", "x: "])
        rest = selections(r, depth + 1) if depth < 4 and r.random() < 0.4 else ""
        return alias + name(r) + arguments(r) + directives(r) + " " + rest

    comment = r.choice(["", "", "", "# a comment }\n"])
    return "{" + comment + r.choice([" ", "\n", ", "]).join(one() for _ in range(r.randrange(1, 5))) + "}"


def graphql(r):
    variables = ""
    if r.random() < 0.5:
        variables = "($v: %s)" % r.choice(["ID!", "[Int!]! = [1 2]", "In = {a: 1, b: [2]} @d", "Int, $w: [[S]]"])
    parts = [r.choice(["query", "mutation", "subscription"]) + " Op" + variables + directives(r) + selections(r)]
    parts.append("fragment F on User" + directives(r) + selections(r))
    if r.random() < 0.3:
        parts.reverse()
    return {"content": r.choice(["\n", " ", ""]).join(parts)}


def graphql_same():
    from graphql import parse
    from graphql.utilities import strip_ignored_characters

    for line in sys.stdin:
        pair = json.loads(line)
        first, second = (strip_ignored_characters(document) for document in pair)
        parse(pair[1])
        print(json.dumps(first == second))


if sys.argv[1] == "graphql-same":
    graphql_same()
else:
    generator = random.Random(int(sys.argv[2]))
    make = {"messagepack": messagepack, "cbor": cbor, "multipart": multipart, "graphql": graphql}[sys.argv[1]]
    for _ in range(int(sys.argv[3])):
        print(json.dumps(make(generator)))
