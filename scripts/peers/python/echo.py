"""Echo server with websockets, after the documentation of that library.

Usage: echo.py [--tls CERT KEY] [--deflate]
"""

import asyncio
import ssl
import sys

from websockets.asyncio.server import serve


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def main():
    options = sys.argv[1:]
    context = None
    if "--tls" in options:
        at = options.index("--tls")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options[at + 1], options[at + 2])
    compression = "deflate" if "--deflate" in options else None
    async with serve(echo, "127.0.0.1", 0, ssl=context, compression=compression, max_size=16 << 20) as server:
        host, port = server.sockets[0].getsockname()
        print(f"listening on {'wss' if context else 'ws'}://{host}:{port}/", flush=True)
        await server.serve_forever()


asyncio.run(main())
