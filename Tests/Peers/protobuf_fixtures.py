#!/usr/bin/env python3
"""Makes the files beside Fixtures/protobuf/*.proto: descriptor sets, and random messages as protoc and Python's json_format print them.

usage: protobuf_fixtures.py [COUNT]    in the root of the project; needs grpcio-tools and googleapis-common-protos

A line of messages.jsonl has the type of a message, its bytes in Base64, what `protoc --decode` prints, and its JSON (ProtoJSON).
"""

import base64
import io
import json
import pathlib
import random
import subprocess
import sys
import tempfile

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor as Field
from google.rpc import error_details_pb2

DIRECTORY = pathlib.Path("Fixtures/protobuf")
TYPES = {
    "shop": ["shop.v1.Scalars", "shop.v1.Item", "shop.v1.Moments", "shop.v1.Order"],
    "legacy": ["legacy.Old"],
    "edition": ["modern.Node"],
}
WORDS = ["", "a", "two words", "ünï", "quote \" and \\", "line\nend\ttab", "日本語", "\x01\x7f", "it's", "🙂", "x" * 40]


def protoc(*arguments, stdin=b""):
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{DIRECTORY}", *arguments]
    return subprocess.run(command, input=stdin, check=True, stdout=subprocess.PIPE).stdout


def number(chance, low, high):
    return chance.choice([0, 1, low, high, chance.randint(low, high), chance.randint(max(low, -200), min(high, 200))])


def scalar(chance, field):
    kind = field.type
    if kind in (Field.TYPE_INT32, Field.TYPE_SINT32, Field.TYPE_SFIXED32):
        return number(chance, -(2**31), 2**31 - 1)
    if kind in (Field.TYPE_INT64, Field.TYPE_SINT64, Field.TYPE_SFIXED64):
        return number(chance, -(2**63), 2**63 - 1)
    if kind in (Field.TYPE_UINT32, Field.TYPE_FIXED32):
        return number(chance, 0, 2**32 - 1)
    if kind in (Field.TYPE_UINT64, Field.TYPE_FIXED64):
        return number(chance, 0, 2**64 - 1)
    if kind == Field.TYPE_BOOL:
        return chance.random() < 0.5
    if kind in (Field.TYPE_FLOAT, Field.TYPE_DOUBLE):
        # Digits that every printer writes alike.
        return chance.choice([0.0, 1.0, -2.5, 0.125, 1e10, float("inf"), float("-inf"), float("nan"), chance.randint(-9999, 9999) / 8])
    if kind == Field.TYPE_STRING:
        return chance.choice(WORDS)
    if kind == Field.TYPE_BYTES:
        return chance.randbytes(chance.randint(0, 20))
    if kind == Field.TYPE_ENUM:
        numbers = [value.number for value in field.enum_type.values]
        is_open = not field.enum_type.is_closed
        return chance.choice(numbers + ([77] if is_open and field.enum_type.name != "NullValue" else []))
    raise ValueError(kind)


def fill(chance, message, depth=0):
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Timestamp":
        message.seconds = chance.randint(-62135596800, 253402300799)
        message.nanos = chance.choice([0, 5, 123000000, 123456000, 999999999])
        return
    if name == "google.protobuf.Duration":
        sign = chance.choice([-1, 1])
        message.seconds, message.nanos = sign * chance.randint(0, 10**9), sign * chance.choice([0, 7, 500000000, 1000])
        return
    if name == "google.protobuf.FieldMask":
        message.paths.extend(chance.sample(["a", "user.display_name", "some_field"], chance.randint(0, 3)))
        return
    if name == "google.protobuf.Any":
        inner = chance.choice([error_details_pb2.BadRequest, error_details_pb2.ErrorInfo, None])
        if inner is None:
            inner = message_factory.GetMessageClass(POOL.FindMessageTypeByName("google.protobuf.Duration"))
        inner = inner()
        fill(chance, inner, depth + 2)
        message.Pack(inner)
        return
    if name == "google.protobuf.Value":
        kind = chance.choice(["null_value", "number_value", "string_value", "bool_value", "list_value"])
        if kind == "list_value":
            fill(chance, message.list_value.values.add(), depth)
        else:
            setattr(message, kind, {"null_value": 0, "number_value": 1.5, "string_value": "text", "bool_value": True}[kind])
        return
    fields = list(message.DESCRIPTOR.fields) + list(POOL.FindAllExtensions(message.DESCRIPTOR))
    for field in fields:
        is_message = field.type in (Field.TYPE_MESSAGE, Field.TYPE_GROUP)
        if field.is_required is False and chance.random() > (0.35 if depth == 0 else 0.2) or (is_message and depth > 3):
            continue
        count = chance.randint(0, 3) if field.is_repeated else 1
        if field.is_extension:
            if field.is_repeated:
                for _ in range(count):
                    fill(chance, message.Extensions[field].add(), depth + 1)
            elif is_message:
                message.Extensions[field].SetInParent()
                fill(chance, message.Extensions[field], depth + 1)
            else:
                message.Extensions[field] = scalar(chance, field)
        elif is_message and field.message_type.GetOptions().map_entry:
            key, value = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
            for _ in range(count):
                made = scalar(chance, key)
                if value.type == Field.TYPE_MESSAGE:
                    fill(chance, getattr(message, field.name)[made], depth + 1)
                else:
                    getattr(message, field.name)[made] = scalar(chance, value)
        elif is_message:
            if field.is_repeated:
                for _ in range(count):
                    fill(chance, getattr(message, field.name).add(), depth + 1)
            else:
                getattr(message, field.name).SetInParent()
                fill(chance, getattr(message, field.name), depth + 1)
        elif field.is_repeated:
            getattr(message, field.name).extend(scalar(chance, field) for _ in range(count))
        else:
            setattr(message, field.name, scalar(chance, field))


def main():
    global POOL
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    POOL = descriptor_pool.DescriptorPool()
    for name in TYPES:
        protoc("--include_imports", f"--descriptor_set_out={DIRECTORY / name}.pb", f"{name}.proto")
        for file in descriptor_pb2.FileDescriptorSet.FromString((DIRECTORY / f"{name}.pb").read_bytes()).file:
            POOL.Add(file)
    for file in (error_details_pb2.DESCRIPTOR, any_pb2.DESCRIPTOR):
        POOL.Add(descriptor_pb2.FileDescriptorProto.FromString(file.serialized_pb))
    chance = random.Random(5)
    lines = []
    for file, types in TYPES.items():
        for name in types:
            for _ in range(count):
                message = message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))()
                fill(chance, message)
                content = message.SerializeToString(deterministic=True)
                text = protoc(f"--decode={name}", f"{file}.proto", stdin=content).decode()
                mapped = json_format.MessageToDict(message, descriptor_pool=POOL)
                lines.append({"type": name, "content": base64.b64encode(content).decode(), "text": text, "json": mapped})
    with io.open(DIRECTORY / "messages.jsonl", "w") as out:
        for line in lines:
            out.write(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
