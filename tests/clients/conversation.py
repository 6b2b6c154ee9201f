"""A conversation with the server by way of the package `websockets`.

Arguments: `talk` or `stop`, the server's address as ws://host:port, and for wss:// the certificate to trust.
Exit code 0: all was as expected.
"""

import ssl
import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

PATIENCE = 15


def main(what, address, certificate=None):
    options = {"open_timeout": PATIENCE, "close_timeout": PATIENCE, "max_size": None, "proxy": None}
    if certificate:
        options["ssl"] = ssl.create_default_context(cafile=certificate)
    if what == "stop":
        return await_stop(address, options)
    for compression in ["deflate", None]:
        for path, words in [("/echo", ""), ("/", "Received: ")]:
            with connect(address + path, compression=compression, **options) as peer:
                extensions = [extension.name for extension in peer.protocol.extensions]
                expect(extensions, ["permessage-deflate"] if compression else [])
                talk(peer, words)


def talk(peer, words):
    for text in ["Hello, world!", "", "žluťoučký kůň \U00010348", "0123456789abcdef" * 65536]:
        peer.send(text)
        expect(peer.recv(PATIENCE), words + text)
    for data in [b"\x00\xff", b"", bytes(range(256)) * 4096]:
        peer.send(data)
        expect(peer.recv(PATIENCE), data)
    peer.send(["in ", "", "three parts ", "of text"])
    expect(peer.recv(PATIENCE), words + "in three parts of text")
    peer.send(bytes([n]) * 1000 for n in range(20))
    expect(peer.recv(PATIENCE), b"".join(bytes([n]) * 1000 for n in range(20)))
    expect(peer.ping("are you there?").wait(PATIENCE), True)
    # Many at once, which come back in their order.
    for n in range(100):
        peer.send(f"{n} " * n)
    for n in range(100):
        expect(peer.recv(PATIENCE), words + f"{n} " * n)
    peer.close(4001, "that was all")
    expect((peer.close_code, peer.close_reason), (4001, "that was all"))


def await_stop(address, options):
    with connect(address + "/echo", **options) as peer:
        peer.send("here")
        expect(peer.recv(PATIENCE), "here")
        print("ready", flush=True)
        try:
            sys.exit(f"instead of a Close: {peer.recv(PATIENCE)!r}")
        except ConnectionClosed as closed:
            expect((closed.rcvd.code, closed.rcvd.reason), (1001, "server shutting down"))


def expect(seen, wanted):
    if seen != wanted:
        sys.exit(f"{str(seen)[:200]!r} instead of {str(wanted)[:200]!r}")


main(*sys.argv[1:])
