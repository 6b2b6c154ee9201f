#!/usr/bin/env python3
"""Forwards TCP connections to a TLS server, for clients without TLS.

Usage: scripts/tunnel.py CERTIFICATE HOST:PORT

Listens on a free port of 127.0.0.1 and prints its address. Trusts the certificate only, and requires that it
is valid for localhost. Each direction is forwarded on its own: when one side ends its direction, the tunnel
forwards the bytes before the end, then the end. It forwards a reset, or the end of TCP without close_notify,
as a reset.
"""

import asyncio
import socket
import ssl
import struct
import sys

# Bytes in one read. A direction buffers a few times as many, and then stops reading until the other side has
# read them.
READ_SIZE = 64 * 1024


class TlsStream:
    """A TLS connection to the server. Unlike that of asyncio, it can end one direction and keep the other."""

    def __init__(self, context, reader, writer):
        self.reader, self.writer = reader, writer
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        # Whether close_notify was sent.
        self.write_closed = False

    def flush(self):
        """Sends the records in the output buffer without waiting, so that receiving continues."""
        # After close_notify no record may follow, not even a key update.
        if (data := self.outgoing.read()) and not self.write_closed:
            self.writer.write(data)

    async def receive(self):
        """Waits for bytes from the server."""
        data = await self.reader.read(READ_SIZE)
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    async def handshake(self):
        """Performs the TLS handshake."""
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush()
                await self.receive()
        self.flush()

    async def forward_from(self, client):
        """Forwards bytes from the client to the server, until the client ends its direction."""
        while data := await client.read(READ_SIZE):
            while data:
                data = data[self.tls.write(data) :]
            self.flush()
            await self.writer.drain()
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            # close_notify is in the output buffer. The other direction handles that of the server.
            pass
        self.flush()
        self.write_closed = True
        self.writer.write_eof()

    async def forward_to(self, client):
        """Forwards bytes from the server to the client, until the server ends its direction."""
        while True:
            # Reads all records before it awaits: `unwrap` in the other direction fails if a record was not
            # read.
            try:
                while data := self.tls.read(READ_SIZE):
                    client.write(data)
                break
            except ssl.SSLZeroReturnError:
                break
            except ssl.SSLWantReadError:
                self.flush()
                await client.drain()
                await self.receive()
        client.write_eof()


def reset(writer):
    """Closes a connection with RST."""
    try:
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    except OSError:
        pass  # The connection is already closed.
    writer.transport.abort()


async def tunnel(context, address, client_reader, client_writer):
    """Connects to the server and forwards both directions."""
    writers, close = [client_writer], reset
    try:
        reader, writer = await asyncio.open_connection(*address, limit=READ_SIZE)
        writers.append(writer)
        tls = TlsStream(context, reader, writer)
        await tls.handshake()
        await asyncio.gather(tls.forward_from(client_reader), tls.forward_to(client_writer))
        close = asyncio.StreamWriter.close
    except (ConnectionResetError, BrokenPipeError):
        pass  # One side was reset. The other one is reset below.
    except OSError as error:  # The connection or the TLS handshake failed.
        print(error, file=sys.stderr)
    finally:
        for writer in writers:
            close(writer)


async def main(certificate, address):
    context = ssl.create_default_context(cafile=certificate)
    host, _, port = address.rpartition(":")
    server = await asyncio.start_server(
        lambda reader, writer: tunnel(context, (host, int(port)), reader, writer),
        "127.0.0.1",
        0,
        limit=READ_SIZE,
    )
    print(f"listening on ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
