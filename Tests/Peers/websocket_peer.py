"""A WebSocket echo server, and a client that says what it got. Usage: server | client URL [ca.pem]"""
import asyncio
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve


async def server():
    async def echo(socket):
        async for message in socket:
            if message == "drop":
                socket.transport.abort()
                return
            await socket.send(message)

    async with serve(echo, "127.0.0.1", 0, max_size=None) as listening:
        print("listening on", listening.sockets[0].getsockname()[1], file=sys.stderr, flush=True)
        await asyncio.Future()


async def talk(url, authority, compression):
    context = ssl.create_default_context(cafile=authority) if authority else None
    async with connect(url, compression=compression, max_size=None, ssl=context) as socket:
        for message in ["héllo", "x" * 300_000, bytes(range(256)) * 40, "", ["frag", "ment", "ed"]]:
            await socket.send(message)
            answer = await socket.recv()
            expected = "".join(message) if isinstance(message, list) else message
            print(compression, type(answer).__name__, len(answer), answer == expected)
        await (await socket.ping(b"are you there"))
        print(compression, "pong")
        await socket.close(1000, "bye")
        print(compression, socket.close_code, socket.close_reason)


async def client(url, authority):
    for compression in [None, "deflate"]:
        await talk(url, authority, compression)
    try:
        async with connect(url, ssl=ssl.create_default_context(cafile=authority) if authority else None) as socket:
            await socket.send("drop")
            await socket.recv()
    except Exception as error:
        print(type(error).__name__)


if sys.argv[1] == "server":
    asyncio.run(server())
else:
    asyncio.run(client(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None))
