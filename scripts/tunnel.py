#!/usr/bin/env python3
"""Carries plain connections to a TLS server, for a client that knows no wss://.

usage: scripts/tunnel.py CERTIFICATE HOST:PORT

Listens on a free port of 127.0.0.1, and says which. The server has to prove with the certificate that it is localhost.
What happens on one side happens on the other: an end of one direction is passed on behind the bytes that came before
it, and a reset, or an end of TCP before the end of TLS, is passed on as a reset.
"""

import asyncio
import socket
import ssl
import struct
import sys

# Bytes taken at once. A direction holds only a few times as many: it waits until they are taken from it.
PIECE = 64 * 1024


class Tls:
    """The server's side of a tunnel. That of asyncio cannot end one direction and leave the other open."""

    def __init__(self, context, reader, writer):
        self.reader, self.writer = reader, writer
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.engine = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        # Whether our direction has ended.
        self.ended = False

    def flush(self):
        """Sends what TLS has made. Never waits, so that reading goes on while the server does not read."""
        # Behind the end there is nothing left to say, not even that keys have changed.
        if (data := self.outgoing.read()) and not self.ended:
            self.writer.write(data)

    async def fetch(self):
        """Waits for bytes of the server."""
        data = await self.reader.read(PIECE)
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    async def handshake(self):
        while True:
            try:
                self.engine.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush()
                await self.fetch()
        self.flush()

    async def carry_from(self, client):
        """Sends what the client sends, and its end."""
        while data := await client.read(PIECE):
            while data:
                data = data[self.engine.write(data) :]
            self.flush()
            await self.writer.drain()
        try:
            self.engine.unwrap()
        except ssl.SSLWantReadError:
            pass  # The end is on its way; the server's own end is for the other direction to see.
        self.flush()
        self.ended = True
        self.writer.write_eof()

    async def carry_to(self, client):
        """Hands the client what the server sends, and its end."""
        while True:
            # All that has come is taken before the other direction can run: `unwrap` fails on a record not yet read.
            try:
                while data := self.engine.read(PIECE):
                    client.write(data)
                break
            except ssl.SSLZeroReturnError:
                break
            except ssl.SSLWantReadError:
                self.flush()
                await client.drain()
                await self.fetch()
        client.write_eof()


def reset(writer):
    """Ends a connection at once, as one that is broken."""
    try:
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    except OSError:
        pass  # It is gone already.
    writer.transport.abort()


async def tunnel(context, address, client_reader, client_writer):
    """Serves one client."""
    writers, end = [client_writer], reset
    try:
        reader, writer = await asyncio.open_connection(*address, limit=PIECE)
        writers.append(writer)
        tls = Tls(context, reader, writer)
        await tls.handshake()
        await asyncio.gather(tls.carry_from(client_reader), tls.carry_to(client_writer))
        end = asyncio.StreamWriter.close
    except (ConnectionResetError, BrokenPipeError):
        pass  # One side broke off, and the other is told so.
    except OSError as error:  # No connection, or something wrong with TLS.
        print(error, file=sys.stderr)
    finally:
        for writer in writers:
            end(writer)


async def main(certificate, address):
    context = ssl.create_default_context(cafile=certificate)
    host, _, port = address.rpartition(":")
    server = await asyncio.start_server(
        lambda reader, writer: tunnel(context, (host, int(port)), reader, writer), "127.0.0.1", 0, limit=PIECE
    )
    print(f"listening on ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
