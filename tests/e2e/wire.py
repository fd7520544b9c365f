"""Small clients for the doors of a running system: MLLP, HTTP and Odoo's own API."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

import requests

END = b"\x1c\r"
#: seconds to wait for an answer that is due, and for one that may not come
DUE, NOT_DUE = 30.0, 0.5

_CUT = re.compile(rb"(?:^|(?<=[\r\n]))(?=MSH|BHS|FHS|BTS|FTS)")
_FRAME = re.compile(rb"\x0b([^\x0b\x1c]*)\x1c")
_MSA = re.compile(rb"[\r\n]MSA[^A-Za-z0-9\r\n](\w\w)")
_CONDITION = re.compile(rb"[\r\n]ERR[^\r\n]*?\b(\d{3})\b")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one message.

    :param code: MSA-1, or the HTTP status; empty when nothing came
    :param condition: code of HL7 table 0357, or of the problem
    """

    code: str = ""
    condition: str = ""
    body: bytes = field(default=b"", repr=False)

    @property
    def is_conflict(self) -> bool:
        """Stored beside the first message of its key, and not applied."""
        return self.condition == "205" or self.code == "409"

    @property
    def is_accepted(self) -> bool:
        return self.code in ("AA", "CA", "202")


class Mllp:
    """One connection; one frame in flight."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, wire: bytes, patience: float = DUE) -> list[Answer]:
        """Send bytes as they are and read one frame.

        :return: the answer to each message of a batch; one without a code when none
            came, and then the connection is closed
        """
        try:
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection(
                    *self._address
                )
            self._writer.write(wire)
            await self._writer.drain()
            return read_answers(await self._frame(patience))
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            await self.close()
            return [Answer()]

    async def send_frames(self, wire: bytes) -> list[Answer]:
        """Send bytes that hold frames of their own, and read until nothing comes."""
        answers = await self.send(wire, NOT_DUE)
        while self._writer is not None:
            try:
                answers += read_answers(await self._frame(NOT_DUE))
            except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
                await self.close()
        return answers

    async def _frame(self, patience: float) -> bytes:
        return await asyncio.wait_for(self._reader.readuntil(END), patience)

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                pass


def read_answers(frame: bytes) -> list[Answer]:
    """One answer for each acknowledgement of a frame."""
    answers = []
    for text in messages_of(frame.strip(b"\x0b" + END)):
        code, condition = _MSA.search(text), _CONDITION.search(text)
        answers.append(
            Answer(
                code[1].decode() if code else "",
                condition[1].decode() if condition else "",
                text,
            )
        )
    return answers


def frames_of(wire: bytes) -> list[bytes]:
    """What stands in the frames of some bytes."""
    return _FRAME.findall(wire)


def messages_of(raw: bytes) -> list[bytes]:
    """The messages of a file or batch: cut before every header and trailer."""
    parts = _CUT.split(raw)
    return [part for part in parts if part[:3] == b"MSH"] or [raw]


class HttpDoor:
    """``POST /health/in/<interface>`` with a bearer key."""

    def __init__(self, url: str, database: str, interface: str, key: str) -> None:
        self._url = f"{url}/health/in/{interface}"
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {key}"
        self._session.headers["X-Odoo-Database"] = database
        self._session.headers["Content-Type"] = "application/hl7-v2"

    def send(self, raw: bytes, **headers: str) -> Answer:
        response = self._session.post(
            self._url, data=raw, headers=headers, timeout=DUE, allow_redirects=False
        )
        condition = ""
        if response.headers.get("Content-Type", "").startswith("application/json"):
            condition = response.json().get("code", "")
        return Answer(str(response.status_code), condition, response.content)
