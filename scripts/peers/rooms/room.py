"""Room with websockets: each message goes to all clients, as in the broadcast example of that library."""

import asyncio

from websockets.asyncio.server import broadcast, serve

clients = set()


async def member(websocket):
    clients.add(websocket)
    try:
        async for message in websocket:
            broadcast(clients, message)
    finally:
        clients.discard(websocket)


async def main():
    async with serve(member, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        host, port = server.sockets[0].getsockname()
        print(f"listening on ws://{host}:{port}/", flush=True)
        await server.serve_forever()


asyncio.run(main())
