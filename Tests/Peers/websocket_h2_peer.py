"""websocket_peer.py on a stream of HTTP/2 without TLS (RFC 8441): the same server, and the same client, which prints the same lines.
Usage: server | client PORT"""
import asyncio
import socket
import sys

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, RequestReceived, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes, Settings
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.frames import Opcode
from websockets.headers import build_extension, parse_extension
from websockets.protocol import CLIENT, OPEN, SERVER, Protocol


def extensions(fields):
    return parse_extension(fields["sec-websocket-extensions"]) if "sec-websocket-extensions" in fields else []


class Conversation:
    """Frames of one stream: output is sent as far as the windows allow, input is messages."""

    def __init__(self, h2, stream, side):
        self.h2, self.stream = h2, stream
        self.frames = Protocol(side, state=OPEN, max_size=None)
        self.queue = bytearray()
        self.has_ended = self.is_last = False
        self.parts = []

    def receive(self, data):
        """Returns messages, and pongs as None."""
        self.frames.receive_data(data)
        messages = []
        for frame in self.frames.events_received():
            if frame.opcode is Opcode.PONG:
                messages.append(None)
            elif frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                if frame.opcode is not Opcode.CONT:
                    self.is_text = frame.opcode is Opcode.TEXT
                self.parts.append(frame.data)
                if frame.fin:
                    content, self.parts = b"".join(self.parts), []
                    messages.append(content.decode() if self.is_text else content)
        return messages

    def send(self, message):
        if isinstance(message, list):
            for number, part in enumerate(message):
                say = self.frames.send_continuation if number else self.frames.send_text
                say(part.encode(), fin=number == len(message) - 1)
        elif isinstance(message, str):
            self.frames.send_text(message.encode())
        else:
            self.frames.send_binary(message)

    def flush(self):
        for data in self.frames.data_to_send():
            self.queue += data
            # So it says that the connection is to be closed.
            self.is_last = data == b""
        while self.queue and not self.has_ended:
            room = min(self.h2.local_flow_control_window(self.stream), self.h2.max_outbound_frame_size, len(self.queue))
            if room <= 0:
                return
            self.h2.send_data(self.stream, bytes(self.queue[:room]))
            del self.queue[:room]
        if self.is_last:
            self.end()

    def end(self):
        if not self.has_ended:
            self.has_ended = True
            self.h2.end_stream(self.stream)


class Client:
    def __init__(self, port, compression):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.messages, self.is_over, self.response = [], False, None
        while not self.h2.remote_settings.enable_connect_protocol:
            self.turn()
        stream = self.h2.get_next_available_stream_id()
        fields = [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/"),
            (":authority", f"127.0.0.1:{port}"), ("sec-websocket-version", "13"),
        ]
        factory = ClientPerMessageDeflateFactory(client_max_window_bits=True)
        if compression:
            fields.append(("sec-websocket-extensions", build_extension([(factory.name, factory.get_request_params())])))
        self.h2.send_headers(stream, fields)
        self.talk = Conversation(self.h2, stream, CLIENT)
        while self.response is None:
            self.turn()
        if self.response[":status"] != "200" or "sec-websocket-accept" in self.response or "upgrade" in self.response:
            raise Exception(self.response)
        for _, parameters in extensions(self.response):
            self.talk.frames.extensions = [factory.process_response_params(parameters, [])]

    def turn(self):
        """Sends what there is to send, and takes what comes next."""
        if self.response is not None:
            self.talk.flush()
        self.socket.sendall(self.h2.data_to_send())
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the connection ended")
        for event in self.h2.receive_data(data):
            if isinstance(event, ResponseReceived):
                self.response = dict(event.headers)
            elif isinstance(event, DataReceived):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.messages += self.talk.receive(event.data)
            elif isinstance(event, (StreamEnded, StreamReset, ConnectionTerminated)):
                self.is_over = True

    def receive(self):
        while not self.messages and not self.is_over:
            self.turn()
        return self.messages.pop(0) if self.messages else "over"


def client(port):
    for compression in [None, "deflate"]:
        peer = Client(port, compression)
        for message in ["héllo", "x" * 300_000, bytes(range(256)) * 40, "", ["frag", "ment", "ed"]]:
            peer.talk.send(message)
            answer = peer.receive()
            expected = "".join(message) if isinstance(message, list) else message
            print(compression, type(answer).__name__, len(answer), answer == expected)
        peer.talk.frames.send_ping(b"are you there")
        if peer.receive() is None:
            print(compression, "pong")
        peer.talk.frames.send_close(1000, "bye")
        peer.receive()
        peer.talk.end()
        peer.socket.sendall(peer.h2.data_to_send())
        print(compression, peer.talk.frames.close_rcvd.code, peer.talk.frames.close_rcvd.reason)
    peer = Client(port, None)
    peer.talk.send("drop")
    if peer.receive() == "over" and peer.talk.frames.close_rcvd is None:
        print("ConnectionClosedError")


async def serve(reader, writer):
    h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    h2.local_settings = Settings(client=False, initial_values={SettingCodes.ENABLE_CONNECT_PROTOCOL: 1})
    h2.initiate_connection()
    talks = {}
    while True:
        writer.write(h2.data_to_send())
        data = await reader.read(65536)
        if not data:
            return writer.close()
        for event in h2.receive_data(data):
            if isinstance(event, RequestReceived):
                talks[event.stream_id] = accept(h2, event.stream_id, dict(event.headers))
            elif isinstance(event, DataReceived):
                h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                echo(h2, talks, event.stream_id, event.data)
            elif isinstance(event, StreamEnded):
                if event.stream_id in talks:
                    talks.pop(event.stream_id).end()
            elif isinstance(event, StreamReset):
                talks.pop(event.stream_id, None)
        for talk in talks.values():
            talk.flush()


def accept(h2, stream, fields):
    if (fields[":method"], fields.get(":protocol")) != ("CONNECT", "websocket") or "sec-websocket-key" in fields:
        raise Exception(fields)
    talk = Conversation(h2, stream, SERVER)
    response = [(":status", "200")]
    for name, parameters in extensions(fields)[:1]:
        chosen, extension = ServerPerMessageDeflateFactory().process_request_params(parameters, [])
        talk.frames.extensions = [extension]
        response.append(("sec-websocket-extensions", build_extension([(name, chosen)])))
    h2.send_headers(stream, response)
    return talk


def echo(h2, talks, stream, data):
    for message in talks[stream].receive(data) if stream in talks else []:
        if message == "drop":
            h2.reset_stream(stream, ErrorCodes.CANCEL)
            del talks[stream]
            return
        if message is not None:
            talks[stream].send(message)


async def server():
    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    print("listening on", listening.sockets[0].getsockname()[1], file=sys.stderr, flush=True)
    await listening.serve_forever()


if sys.argv[1] == "server":
    asyncio.run(server())
else:
    client(int(sys.argv[2]))
