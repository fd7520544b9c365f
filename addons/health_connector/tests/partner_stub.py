"""A partner that misbehaves on demand, over HTTP and MLLP, and keeps a ledger.

Plain Python, so that it also runs as a process of its own (``tests/partner_stub.py``).
Each fault has a name; the next message gets the next of ``faults``, or ``ok``. The
ledger holds every message that came in whole, with its key, in the order of arrival;
``effects`` are the keys for which the partner did its work, once per key.
"""

import base64
import contextlib
import json
import re
import socket
import socketserver
import struct
import threading
import time
from collections import deque
from email.utils import formatdate

#: HTTP fault -> (the partner does its work, bytes of the answer's head)
ANSWERS = {
    "ok": (True, "200 OK"),
    "created": (True, "201 Created"),
    "400": (False, "400 Bad Request"),
    "401": (False, "401 Unauthorized"),
    "404": (False, "404 Not Found"),
    "409": (False, "409 Conflict"),
    "422": (False, "422 Unprocessable Content"),
    "429": (False, "429 Too Many Requests\r\nRetry-After: 7"),
    "429-date": (False, "429 Too Many Requests\r\nRetry-After: {later}"),
    "500": (True, "500 Internal Server Error"),
    "502": (True, "502 Bad Gateway"),
    "503": (False, "503 Service Unavailable"),
    "503-later": (False, "503 Service Unavailable\r\nRetry-After: 7"),
    "elsewhere": (False, "307 Temporary Redirect\r\nLocation: http://localhost:9/"),
}
#: faults of the connection -> the partner does its work all the same
BROKEN = {
    "slow": True,  # the answer comes when nobody waits any more
    "reset": True,  # the work is done, the answer lost
    "lost": False,  # the connection breaks before the work
    "half-close": True,  # the answer ends in its middle
    "garbage": True,  # the answer is none
    "twice": True,  # a second answer follows that nobody asked for
}
#: MLLP fault -> (the partner does its work, MSA-1, code of table 0357)
ACKS = {
    "ok": (True, "AA", ""),
    "AE": (False, "AE", "101"),
    "AE207": (False, "AE", "207"),
    "AR": (False, "AR", "200"),
    "wrong-id": (True, "AA", ""),
}
_CONTROL_ID = re.compile(rb"\AMSH(.)(?:[^\r]*?\1){8}([^\r]*?)\1", re.DOTALL)


class PartnerStub:
    """Both doors of one partner. A context manager; ports of 0 are chosen."""

    def __init__(self, http=0, mllp=0, ledger=None, delay=1.0, host="127.0.0.1"):
        self.faults, self.delay = deque(), delay
        self.received, self.effects = [], []
        self.changed = threading.Condition()
        self._ledger = ledger
        self._servers = [
            _Server((host, http), _HttpDoor, self),
            _Server((host, mllp), _MllpDoor, self),
        ]
        self.http_port, self.mllp_port = (s.server_address[1] for s in self._servers)
        self.url = f"http://{host}:{self.http_port}"

    def __enter__(self):
        for server in self._servers:
            threading.Thread(
                target=server.serve_forever, args=(0.02,), daemon=True
            ).start()
        return self

    def __exit__(self, *exc):
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def next_fault(self):
        with self.changed:
            return self.faults.popleft() if self.faults else "ok"

    def note(self, door, key, body, fault, works, headers=None):
        """Write a message down, and its effect if the partner does its work."""
        entry = {"door": door, "key": key, "fault": fault, "at": time.time()}
        entry["headers"] = headers or {}
        with self.changed:
            self.received.append({**entry, "body": body})
            if works and key not in self.effects:
                self.effects.append(key)
            if self._ledger:
                line = {**entry, "works": works, "body": _b64(body)}
                self._ledger.write(json.dumps(line) + "\n")
                self._ledger.flush()
            self.changed.notify_all()

    def keys(self):
        """The keys of all that came in, in the order of arrival."""
        with self.changed:
            return [each["key"] for each in self.received]

    def wait_for(self, count, seconds=10):
        """Wait until so many messages have come in; True when they have."""
        with self.changed:
            return self.changed.wait_for(lambda: len(self.received) >= count, seconds)


def _b64(body):
    return base64.b64encode(body).decode()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, address, handler, partner):
        super().__init__(address, handler)
        self.partner = partner

    def handle_error(self, request, client_address):
        """Clients may leave when they like."""


class _Door(socketserver.StreamRequestHandler):
    def reset(self):
        """End the connection with RST."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    def handle(self):
        with contextlib.suppress(OSError, ValueError):
            while self.exchange():
                pass

    def finish(self):  # pylint: disable=missing-return
        with contextlib.suppress(OSError):
            super().finish()


class _HttpDoor(_Door):
    def exchange(self):
        """One request and its answer; True when the connection goes on."""
        method, path, _version = self.rfile.readline().decode().split()
        headers = {}
        while line := self.rfile.readline().decode().strip():
            name, _colon, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", 0)))
        if method == "GET":
            return self.look_up(path)
        partner, key = self.server.partner, headers.get("idempotency-key", "")
        fault = partner.next_fault()
        works = ANSWERS[fault][0] if fault in ANSWERS else BROKEN[fault]
        headers["path"] = path
        partner.note("http", key, body, fault, works, headers)
        if fault in ANSWERS:
            self.answer(ANSWERS[fault][1], {"id": f"P-{key[:8]}"})
            return True
        return self.break_off(fault, key)

    def look_up(self, path):
        """``GET /…/<key>``: has the partner worked on it?"""
        known = path.rsplit("/", 1)[-1] in self.server.partner.effects
        self.answer("200 OK" if known else "404 Not Found", {})
        return True

    def answer(self, head, content, after=b""):
        text = json.dumps(content).encode()
        head = head.format(later=formatdate(time.time() + 60, usegmt=True))
        self.wfile.write(
            f"HTTP/1.1 {head}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(text)}\r\n\r\n".encode()
            + text
            + after
        )

    def break_off(self, fault, key):
        if fault == "slow":
            time.sleep(self.server.partner.delay)
            self.answer("200 OK", {"id": f"P-{key[:8]}"})
        elif fault in ("reset", "lost"):
            self.reset()
        elif fault == "half-close":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
        elif fault == "garbage":
            self.wfile.write(b"\x00\x01 this is no HTTP\r\n\r\n")
        elif fault == "twice":
            again = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            self.answer("200 OK", {"id": f"P-{key[:8]}"}, again)
            return True
        return False


class _MllpDoor(_Door):
    def exchange(self):
        """One message and its acknowledgement."""
        frame = b""
        while not frame.endswith(b"\x1c\r"):
            byte = self.rfile.read(1)
            if not byte:
                return False
            frame += byte
        message = frame.lstrip(b"\r\n").removeprefix(b"\x0b")[:-2]
        found = _CONTROL_ID.match(message)
        key = found[2].decode() if found else ""
        partner = self.server.partner
        fault = partner.next_fault()
        works = ACKS[fault][0] if fault in ACKS else BROKEN[fault]
        partner.note("mllp", key, message, fault, works)
        if fault in ACKS:
            self.acknowledge(fault, "OTHER" if fault == "wrong-id" else key)
            return True
        return self.break_off(fault, key)

    def acknowledge(self, fault, key):
        _works, code, condition = ACKS[fault]
        error = f"ERR|||{condition}|E\r" if condition else ""
        self.wfile.write(
            b"\x0bMSH|^~\\&|P|P|O|O|20260101||ACK|A1|P|2.5.1\r"
            + f"MSA|{code}|{key}\r{error}".encode()
            + b"\x1c\r"
        )

    def break_off(self, fault, key):
        if fault == "slow":
            time.sleep(self.server.partner.delay)
            self.acknowledge("ok", key)
        elif fault in ("reset", "lost"):
            self.reset()
        elif fault == "half-close":
            self.wfile.write(b"\x0bMSH|^~\\&|P|P")
        elif fault == "garbage":
            self.wfile.write(b"\x0bthis is no HL7\x1c\r")
        elif fault == "twice":
            self.acknowledge("ok", key)
            self.acknowledge("ok", key)
            return True
        return False
