"""A WebSocket server that answers in an uneven rhythm, and a client that prints when it heard what, in milliseconds.

usage: server | client URL
"""
import asyncio
import contextlib
import sys
import time

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

PAUSES = {"one": [0.05], "two": [0.02, 0.3], "three": [0.15]}


async def server():
    async def answer(socket):
        async for message in socket:
            for number, pause in enumerate(PAUSES[message]):
                with contextlib.suppress(TimeoutError):
                    # The client says nothing meanwhile.
                    await asyncio.wait_for(socket.recv(), pause)
                await socket.send(f"{message} {number}")

    async with serve(answer, "127.0.0.1", 0) as listening:
        print("listening on", listening.sockets[0].getsockname()[1], file=sys.stderr, flush=True)
        await asyncio.Future()


async def client(url):
    async with connect(url, compression=None) as socket:
        for message, pauses in PAUSES.items():
            await socket.send(message)
            for number in range(len(pauses)):
                answer = await socket.recv()
                print(time.perf_counter() * 1000, answer == f"{message} {number}")


asyncio.run(server() if sys.argv[1] == "server" else client(sys.argv[2]))
