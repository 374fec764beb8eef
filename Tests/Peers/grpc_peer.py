#!/usr/bin/env python3
"""A gRPC server of bytes, and a client that says what each kind of call came to. No stubs are generated: methods are named by path.

usage: grpc_peer.py server CERTIFICATE KEY     says on stderr where it listens: without TLS, with TLS
       grpc_peer.py client TARGET [AUTHORITY]  prints one JSON object for each call
       grpc_peer.py repeatable TARGET [AUTHORITY]  the same without the calls whose outcome depends on time and chance
"""

import concurrent.futures
import hashlib
import json
import queue
import sys
import threading
import uuid

import grpc

SERVICE = "test.Bytes"
LIMIT = 10.0


class Calls:
    """Which calls the server has seen begin and end, so that a client can ask whether its cancellation arrived."""

    def __init__(self):
        self.events = {}
        self.lock = threading.Lock()

    def event(self, kind, name):
        with self.lock:
            return self.events.setdefault((kind, name), threading.Event())


calls = Calls()


def describe(context):
    sent = {key: value for key, value in context.invocation_metadata() if key.startswith("x-")}
    context.send_initial_metadata((("x-initial", json.dumps(sent, sort_keys=True)),))
    context.set_trailing_metadata((("x-trailing", "end"), ("x-octets-bin", bytes(range(0, 256, 5)))))


def unary(request, context):
    describe(context)
    return request[::-1]


def compressed(request, context):
    context.set_compression(grpc.Compression.Gzip)
    return request + request


def client_stream(requests, context):
    describe(context)
    return b"|".join(requests)


def server_stream(request, context):
    describe(context)
    for number in range(int(request)):
        yield b"%d" % number * 1000


def bidirectional(requests, context):
    describe(context)
    for request in requests:
        yield b"<" + request + b">"


def failing(request, context):
    describe(context)
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not so: 100 % ünmöglich\n")


def failing_stream(request, context):
    yield b"first"
    context.abort(grpc.StatusCode.DATA_LOSS, "the rest is gone")


def hanging(request, context):
    calls.event("begun", request).set()
    ended = calls.event("ended", request)
    context.add_callback(ended.set)
    ended.wait(LIMIT)
    return b""


def has_begun(request, context):
    return b"yes" if calls.event("begun", request).wait(LIMIT) else b"no"


def has_ended(request, context):
    return b"yes" if calls.event("ended", request).wait(LIMIT) else b"no"


def serve(certificate, key):
    unary_methods = {
        "Unary": unary, "Compressed": compressed, "Failing": failing, "Hanging": hanging, "HasBegun": has_begun, "HasEnded": has_ended,
    }
    handlers = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in unary_methods.items()}
    handlers["ClientStream"] = grpc.stream_unary_rpc_method_handler(client_stream)
    handlers["ServerStream"] = grpc.unary_stream_rpc_method_handler(server_stream)
    handlers["FailingStream"] = grpc.unary_stream_rpc_method_handler(failing_stream)
    handlers["Bidirectional"] = grpc.stream_stream_rpc_method_handler(bidirectional)
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(32))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    with open(certificate, "rb") as chain, open(key, "rb") as secret:
        credentials = grpc.ssl_server_credentials([(secret.read(), chain.read())])
    plain = server.add_insecure_port("127.0.0.1:0")
    secure = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    print(f"listening on {plain} {secure}", file=sys.stderr, flush=True)
    server.wait_for_termination()


def told(name, start, streams=False):
    """What came of one call: its messages, its code and details, and its metadata."""
    def metadata(pairs):
        return sorted([key, value if isinstance(value, str) else value.hex()] for key, value in pairs or () if key.startswith("x-"))

    call = start()
    messages = []
    try:
        for message in call if streams else [call.result()]:
            messages.append([len(message), hashlib.sha256(message).hexdigest()[:16]])
    except (grpc.RpcError, grpc.FutureCancelledError):
        pass
    line = {
        "call": name, "messages": messages, "code": call.code().name, "details": call.details(),
        "initial": metadata(call.initial_metadata()), "trailing": metadata(call.trailing_metadata()),
    }
    print(json.dumps(line, sort_keys=True))


def ask(target, authority, is_repeatable):
    if authority:
        with open(authority, "rb") as file:
            credentials = grpc.ssl_channel_credentials(file.read())
        channel = grpc.secure_channel(target, credentials)
    else:
        channel = grpc.insecure_channel(target)

    def path(method):
        return f"/{SERVICE}/{method}"

    sent = (("x-sent", "a value"), ("x-sent-bin", b"\x00\xff"))
    with channel:
        method = channel.unary_unary(path("Unary"))
        told("unary", lambda: method.future(b"hello", timeout=LIMIT, metadata=sent[:1]))
        told("empty", lambda: method.future(b"", timeout=LIMIT))
        told("large", lambda: method.future(bytes(range(256)) * 12000, timeout=LIMIT))
        told("gzip", lambda: channel.unary_unary(path("Compressed")).future(
            b"again and " * 10000, timeout=LIMIT, compression=grpc.Compression.Gzip))
        many = [method.future(b"%d" % number, timeout=LIMIT) for number in range(100)]
        for number, call in enumerate(many):
            told(f"many at once {number}", lambda: call)
        told("client stream", lambda: channel.stream_unary(path("ClientStream")).future(
            (b"%d" % i * 100 for i in range(100)), timeout=LIMIT))
        told("server stream", lambda: channel.unary_stream(path("ServerStream"))(b"200", timeout=LIMIT), streams=True)
        told("status", lambda: channel.unary_unary(path("Failing")).future(b"", timeout=LIMIT))
        told("status behind a message", lambda: channel.unary_stream(path("FailingStream"))(b"", timeout=LIMIT), streams=True)
        told("no such method", lambda: channel.unary_unary(path("Missing")).future(b"", timeout=LIMIT))
        told("in turns", lambda: in_turns(channel.stream_stream(path("Bidirectional"))), streams=True)
        if is_repeatable:
            return
        one, two = uuid.uuid4().bytes, uuid.uuid4().bytes
        told("deadline", lambda: channel.unary_unary(path("Hanging")).future(one, timeout=0.5))
        told("the server saw the deadline", lambda: channel.unary_unary(path("HasEnded")).future(one, timeout=LIMIT))
        told("cancelled", lambda: cancelled(channel, two))
        told("the server saw the cancellation", lambda: channel.unary_unary(path("HasEnded")).future(two, timeout=LIMIT))


def in_turns(method):
    """Sends each message when the answer to the one before has come."""
    messages = queue.Queue()
    messages.put(b"0")
    call = method(iter(messages.get, None), timeout=LIMIT)

    class Turns:
        def __init__(self):
            self.count = 0

        def __iter__(self):
            return self

        def __next__(self):
            answer = next(call)
            self.count += 1
            messages.put(b"%d" % self.count if self.count < 20 else None)
            return answer

        def __getattr__(self, name):
            return getattr(call, name)

    return Turns()


def cancelled(channel, name):
    """Cancels a call that the server has begun."""
    call = channel.unary_unary(f"/{SERVICE}/Hanging").future(name, timeout=LIMIT)
    channel.unary_unary(f"/{SERVICE}/HasBegun")(name, timeout=LIMIT)
    call.cancel()
    return call


if __name__ == "__main__":
    if sys.argv[1] == "server":
        serve(sys.argv[2], sys.argv[3])
    else:
        ask(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None, sys.argv[1] == "repeatable")
