"""A WebSocket client that prints how long each answer took, in milliseconds since the message before it was sent.

usage: URL MESSAGE=ANSWERS ...
"""
import asyncio
import sys
import time

from websockets.asyncio.client import connect


async def client(url, dialogue):
    async with connect(url, compression=None) as socket:
        for message, answers in dialogue:
            sent = time.perf_counter()
            await socket.send(message)
            for number in range(answers):
                answer = await socket.recv()
                print(answer, (time.perf_counter() - sent) * 1000)


asyncio.run(client(sys.argv[1], [(text, int(count)) for text, count in (part.split("=") for part in sys.argv[2:])]))
