#!/usr/bin/env python3
"""Sends bursts to a room and measures when each member has received them.

Usage: fan-out.py [--members N] [--mute N] [--messages N] [--burst N] [--size N] [--interval SECONDS]
                  [--kind plain|socket.io] [--pid PID]... URL...

Members connect to the URLs in turn. The first one sends. Mute members, which never read, connect as well. A
burst follows the last one after the interval or, with --interval 0, when all members have received the last
one. Every byte is compared: all members have to receive all messages in order. Prints a line of numbers:
deliveries, seconds, deliveries a second, and the 50th and 99th percentile and the maximum of the time from
the sending of a burst to its last byte at a member, in ms.
"""

import argparse
import os
import selectors
import socket
import struct
import sys
import time
from urllib.parse import urlsplit

TIMEOUT = 60
MASK = b"\x37\xfa\x21\x3d"


def frame(text, masked):
    """Returns a text frame (RFC 6455, 5.2)."""
    payload = text.encode()
    length = len(payload)
    first = 0x80 if masked else 0
    if length < 126:
        head = struct.pack("!BB", 0x81, first | length)
    else:
        head = struct.pack("!BBH", 0x81, first | 126, length)
    if not masked:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))


def cpu_seconds(pid):
    """Returns the CPU time of a process, user and system."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Member:
    """A client that has joined. The server may send nothing else than the messages of the room."""

    def __init__(self, url, kind, mute):
        parts = urlsplit(url)
        self.socket = socket.socket()
        if mute:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect((parts.hostname, parts.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: f7cb4ezEAl6C3wRaU6JORA==\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            if not byte:
                sys.exit(f"the handshake failed: {head!r}")
            head += byte
        if not head.startswith(b"HTTP/1.1 101 "):
            sys.exit(f"the handshake failed: {head!r}")
        if kind == "socket.io":
            self.read_text("0")
            self.socket.sendall(frame("40", True))
            self.read_text("40")
        self.received = 0

    def read_text(self, beginning):
        """Reads one short text frame."""
        head = self.read_exactly(2)
        length = head[1] if head[1] < 126 else struct.unpack("!H", self.read_exactly(2))[0]
        text = self.read_exactly(length).decode()
        if not text.startswith(beginning):
            sys.exit(f"unexpected message: {text}")

    def read_exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                sys.exit("the connection ended")
            data += more
        return data


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("urls", nargs="+")
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument("--mute", type=int, default=0)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--burst", type=int, default=16)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--interval", type=float, default=0)
    parser.add_argument("--pid", type=int, action="append", default=[])
    parser.add_argument("--kind", choices=["plain", "socket.io"], default="plain")
    options = parser.parse_args()
    wrap = (lambda text: text) if options.kind == "plain" else (lambda text: f'42["m","{text}"]')
    urls = options.urls
    mutes = [Member(urls[n % len(urls)], options.kind, True) for n in range(options.mute)]
    members = [Member(urls[n % len(urls)], options.kind, False) for n in range(options.members)]

    texts = [wrap(f"{n:0{options.size}}") for n in range(options.messages)]
    # A message that every member has to receive: then all have joined.
    hello = frame(wrap("hello"), False)
    members[0].socket.sendall(frame(wrap("hello"), True))
    for member in members:
        if member.read_exactly(len(hello)) != hello:
            sys.exit("unexpected message instead of the first one")
    expected = b"".join(frame(text, False) for text in texts)
    starts = range(0, options.messages, options.burst)
    bursts = [
        b"".join(frame(text, True) for text in texts[first : first + options.burst]) for first in starts
    ]
    ends = [sum(len(frame(text, False)) for text in texts[: first + options.burst]) for first in starts]

    selector = selectors.EpollSelector()
    for member in members:
        member.socket.setblocking(False)
        member.next_burst = 0
        selector.register(member.socket, selectors.EVENT_READ, member)
    used = [cpu_seconds(pid) for pid in options.pid]
    sent_at, latencies, begin = [], [], time.perf_counter()
    complete = [0] * len(bursts)
    finished = 0
    while finished < len(members):
        now = time.perf_counter()
        if now - begin > TIMEOUT:
            sys.exit(f"{len(members) - finished} members have not received everything in {TIMEOUT} s")
        wait = TIMEOUT
        if len(sent_at) < len(bursts):
            if options.interval:
                wait = begin + len(sent_at) * options.interval - now
            elif not sent_at or complete[len(sent_at) - 1] == len(members):
                wait = 0
            if wait <= 0:
                # The latency counts from the time when the burst should have been sent.
                sent_at.append(begin + len(sent_at) * options.interval if options.interval else now)
                members[0].socket.setblocking(True)
                members[0].socket.sendall(bursts[len(sent_at) - 1])
                members[0].socket.setblocking(False)
                wait = 0
        for key, _ in selector.select(wait):
            member = key.data
            data = member.socket.recv(1 << 18)
            end = member.received + len(data)
            if not data or data != expected[member.received : end]:
                sys.exit(
                    f"wrong bytes or end of the connection after {member.received} bytes: {data[:200]!r}"
                )
            member.received = end
            now = time.perf_counter()
            while member.next_burst < len(bursts) and end >= ends[member.next_burst]:
                latencies.append(now - sent_at[member.next_burst])
                complete[member.next_burst] += 1
                member.next_burst += 1
            finished += end == len(expected)
    seconds = time.perf_counter() - begin
    used = [cpu_seconds(pid) - before for pid, before in zip(options.pid, used)]
    deliveries = len(members) * len(texts)
    latencies.sort()
    p50, p99 = (latencies[int(len(latencies) * q)] * 1e3 for q in (0.5, 0.99))
    print(
        f"{deliveries} {seconds:.2f} {deliveries / seconds:.0f} "
        f"{p50:.1f} {p99:.1f} {latencies[-1] * 1e3:.1f}",
        *(f"{seconds:.2f}" for seconds in used),
        flush=True,
    )
    del mutes


main()
