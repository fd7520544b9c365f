"""The doors of the hub as a partner sees them: bytes out, bytes back.

Plain sockets, so that a test can send half of a message, close at any moment and keep
every byte that came back.
"""

from __future__ import annotations

import re
import socket
import struct
from dataclasses import dataclass

START, END = b"\x0b", b"\x1c\r"
_MSA = re.compile(rb"\rMSA\|(\w\w)\|([^|\r]*)")
_STATUS = re.compile(rb"HTTP/1\.\d (\d{3})")


@dataclass(frozen=True, slots=True)
class Door:
    """Where one kind of message goes.

    :param kind: ``mllp`` or ``http``
    :param path: of the HTTP door
    :param headers: further lines of the HTTP request
    """

    kind: str
    port: int
    path: str = ""
    headers: tuple[str, ...] = ()

    def connect(self, timeout: float) -> socket.socket:
        peer = socket.create_connection(("127.0.0.1", self.port), timeout)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return peer

    def wire(self, raw: bytes) -> bytes:
        """The bytes that carry a message."""
        if self.kind == "mllp":
            return START + raw + END
        lines = [
            f"POST {self.path} HTTP/1.1",
            "Host: 127.0.0.1",
            "Connection: close",
            "Content-Type: application/hl7-v2",
            f"Content-Length: {len(raw)}",
            *self.headers,
        ]
        return "\r\n".join([*lines, "", ""]).encode() + raw

    def read(self, peer: socket.socket, timeout: float) -> bytes:
        """One answer; what has come so far when the connection ends or time is over."""
        peer.settimeout(timeout)
        data = b""
        try:
            while not (self.kind == "mllp" and data.endswith(END)):
                # one byte too many would be of the next answer
                more = peer.recv(1 if self.kind == "mllp" else 65536)
                if not more:
                    break
                data += more
        except OSError:
            pass
        return data

    def code(self, answer: bytes, key: str) -> str:
        """MSA-1 or the status; empty when the answer is not complete, and ``stray``
        when it is one to another message."""
        if self.kind == "http":
            head, _blank, body = answer.partition(b"\r\n\r\n")
            found = _STATUS.match(head)
            return found[1].decode() if found and body.endswith(b"}") else ""
        found = answer.endswith(END) and _MSA.search(answer)
        if not found:
            return ""
        return found[1].decode() if found[2].decode() == key else "stray"


def is_positive(code: str) -> bool:
    return code in ("AA", "CA", "202")


def is_put_off(code: str) -> bool:
    """No answer, or one that asks to come again."""
    return code in ("", "AE", "CE") or code == "429" or code.startswith("5")


def reset(peer: socket.socket) -> None:
    """Close without good-bye: the other side sees a reset."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
