"""A light load for the MLLP listener, in a process of its own: a fixed number of
connections, on each the next message as soon as the last one is acknowledged.

    python _mllp_load.py PORT CONNECTIONS SECONDS BYTES

Prints the acknowledged messages per second. Any other answer than AA ends it.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time

HEADER = b"\x0bMSH|^~\\&|LAB|MAIN|ODOO|HOSP|20260309||ORU^R01^ORU_R01|%s%d|P|2.5.1\r"
ORDER = b"PID|1||MRN1^^^HOSP^MR\rORC|RE|ORD-%d\rOBR|1|ORD-%d\r"
RESULT = b"OBX|%d|NM|718-7^Hemoglobin^LN||13.2|g/dL|12.0-16.0|N|||F\r"
END = b"\x1c\r"


class Load:
    def __init__(self, port: int, connections: int, size: int) -> None:
        self.run = os.urandom(4).hex().encode()
        self.number = 0
        head = len(HEADER % (self.run, 0)) + len(ORDER % (0, 0)) - 2
        self.results = b""
        while head + len(self.results) < size:
            self.results += RESULT % (self.results.count(b"\r") + 1)
        self.poll = select.epoll()
        self.sockets = {}
        for _ in range(connections):
            peer = socket.create_connection(("127.0.0.1", port))
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sockets[peer.fileno()] = peer
            self.poll.register(peer, select.EPOLLIN)

    def message(self) -> bytes:
        self.number += 1
        header = HEADER % (self.run, self.number)
        return header + ORDER % (self.number, self.number) + self.results + END

    def measure(self, seconds: float) -> float:
        """Acknowledged messages per second."""
        acknowledged = 0
        started = time.perf_counter()
        for peer in self.sockets.values():
            peer.send(self.message())
        while time.perf_counter() < started + seconds:
            for number, _event in self.poll.poll(1):
                peer = self.sockets[number]
                if b"\rMSA|AA|" not in peer.recv(4096):
                    sys.exit("the listener did not accept a message")
                acknowledged += 1
                peer.send(self.message())
        return acknowledged / (time.perf_counter() - started)


if __name__ == "__main__":
    port, connections, seconds, size = map(float, sys.argv[1:])
    print(Load(int(port), int(connections), int(size)).measure(seconds))
