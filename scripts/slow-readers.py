#!/usr/bin/env python3
"""Opens WebSocket connections that read slowly or not at all, again and again.

Usage: scripts/slow-readers.py HOST:PORT DURATION CONNECTIONS

DURATION is in seconds. CONNECTIONS are open at once. They are of four kinds, in turn:

  source     reads the messages of /source at SLOW_RATE
  echo       sends messages to /echo as far as the socket takes them, and reads the replies at SLOW_RATE
  unread     sends messages to /echo and reads nothing: the server aborts it
  broadcast  joins the room of the soak test and reads nothing: the server closes or aborts it

A connection is replaced when the server has ended it, and after LIFETIME, with a Close and without one in
turn. Prints one line with the counts. Fails if no connection opens, or if one was rejected.
"""

import base64
import socket
import sys
import time

# Bytes a second that a slow connection reads, and the seconds between two reads.
SLOW_RATE = 50_000
TICK = 0.1
# Seconds until a connection is replaced: longer than the write time-out of the server, 10 s.
LIFETIME = 25
# A masked binary message of 4 KiB, with the mask 0.
MESSAGE = b"\x82\xfe\x10\x00\0\0\0\0" + bytes(4096)
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"
PATHS = {
    "source": "/source?size=64KiB&count=1000000",
    "echo": "/echo",
    "unread": "/echo",
    "broadcast": "/broadcast?room=soak",
}


class Reader:
    """One connection."""

    def __init__(self, address, kind, number):
        self.kind, self.number = kind, number
        self.socket = socket.socket()
        # A small window: the server has to keep what does not fit.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        self.socket.settimeout(10)
        self.socket.connect(address)
        key = base64.b64encode(number.to_bytes(16, "big")).decode()
        self.socket.sendall(
            f"GET {PATHS[kind]} HTTP/1.1\r\nHost: soak\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        status = self.socket.recv(12)
        if status != b"HTTP/1.1 101":
            raise SystemExit(f"slow-readers: rejected: {status!r}")
        self.socket.setblocking(False)
        self.end = time.monotonic() + LIFETIME
        # The part of a message that the socket has not taken.
        self.unsent = b""

    def step(self):
        """Reads and sends for one tick. Returns False when the connection has ended."""
        try:
            if self.kind in ("source", "echo") and not self.socket.recv(int(SLOW_RATE * TICK)):
                return False
        except BlockingIOError:
            pass
        except OSError:
            return False
        try:
            while self.kind in ("echo", "unread"):
                self.unsent = self.unsent or MESSAGE
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def close(self):
        """Ends the connection, every second one with a Close if no message is unfinished."""
        try:
            if self.number % 2 and not self.unsent:
                self.socket.send(CLOSE)
        except OSError:
            pass
        self.socket.close()


def main():
    host, port = sys.argv[1].rsplit(":", 1)
    address, deadline, count = (host, int(port)), time.monotonic() + float(sys.argv[2]), int(sys.argv[3])
    kinds, opened, ended = list(PATHS), 0, 0
    readers = []
    while time.monotonic() < deadline:
        while len(readers) < count:
            readers.append(Reader(address, kinds[opened % len(kinds)], opened))
            opened += 1
        time.sleep(TICK)
        now, kept = time.monotonic(), []
        for reader in readers:
            alive = reader.step()
            ended += not alive
            if alive and now < reader.end:
                kept.append(reader)
            else:
                reader.close()
        readers = kept
    for reader in readers:
        reader.close()
    print(f"slow readers: {opened} opened, {ended} ended by the server")


main()
