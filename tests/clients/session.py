"""Runs sessions with the server, with the package `websockets`.

Arguments: `talk` or `stop`; the address of the server as ws://host:port; for wss:// the certificate to trust.
`talk` compares the replies, `stop` expects the Close frame of a server that shuts down.
Exit code 0: all received messages were as expected.
"""

import ssl
import sys

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

# Longest time of a handshake, of a closing handshake, and until a message arrives, in seconds.
WAIT_TIMEOUT = 15


def main(what, address, certificate=None):
    options = {"open_timeout": WAIT_TIMEOUT, "close_timeout": WAIT_TIMEOUT, "max_size": None, "proxy": None}
    if certificate:
        options["ssl"] = ssl.create_default_context(cafile=certificate)
    if what == "stop":
        return await_stop(address, options)
    for compression in ["deflate", None]:
        for path, prefix in [("/echo", ""), ("/", "Received: ")]:
            with connect(address + path, compression=compression, **options) as peer:
                extensions = [extension.name for extension in peer.protocol.extensions]
                expect(extensions, ["permessage-deflate"] if compression else [])
                talk(peer, prefix)


def talk(peer, prefix):
    """Sends messages, and expects each text reply to begin with the prefix."""
    for text in ["Hello, world!", "", "žluťoučký kůň \U00010348", "0123456789abcdef" * 65536]:
        peer.send(text)
        expect(peer.recv(WAIT_TIMEOUT), prefix + text)
    for data in [b"\x00\xff", b"", bytes(range(256)) * 4096]:
        peer.send(data)
        expect(peer.recv(WAIT_TIMEOUT), data)
    peer.send(["in ", "", "three parts ", "of text"])
    expect(peer.recv(WAIT_TIMEOUT), prefix + "in three parts of text")
    peer.send(bytes([n]) * 1000 for n in range(20))
    expect(peer.recv(WAIT_TIMEOUT), b"".join(bytes([n]) * 1000 for n in range(20)))
    expect(peer.ping("are you there?").wait(WAIT_TIMEOUT), True)
    # A burst. The replies are in the same order.
    for n in range(100):
        peer.send(f"{n} " * n)
    for n in range(100):
        expect(peer.recv(WAIT_TIMEOUT), prefix + f"{n} " * n)
    peer.close(4001, "that was all")
    expect((peer.close_code, peer.close_reason), (4001, "that was all"))


def await_stop(address, options):
    """Prints a line after the first reply, and expects the server to close with 1001."""
    with connect(address + "/echo", **options) as peer:
        peer.send("here")
        expect(peer.recv(WAIT_TIMEOUT), "here")
        print("ready", flush=True)
        try:
            sys.exit(f"expected a Close frame, received {peer.recv(WAIT_TIMEOUT)!r}")
        except ConnectionClosed as closed:
            expect((closed.rcvd.code, closed.rcvd.reason), (1001, "server shutting down"))


def expect(actual, expected):
    """Exits with an error if the values differ."""
    if actual != expected:
        sys.exit(f"expected {str(expected)[:200]!r}, received {str(actual)[:200]!r}")


main(*sys.argv[1:])
