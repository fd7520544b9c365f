"""What partners may count on at the HTTP door, whatever process serves it.

One table; ``test_inbound.py`` runs it against Odoo's controller, and
``tests/e2e/test_http_doors.py`` against the controller and the gateway of a running
system. Plain Python, no Odoo.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol


def body(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {"id": f"m{number}", "order_no": "LAB-1", "test": "CBC", **changes}


@dataclass(frozen=True)
class Ask:
    """A request and what is expected of its answer.

    :param content: bytes, or what becomes JSON
    :param key: ``right``, ``wrong`` or None for no key at all
    :param known: False for the address of no interface
    :param code: of the problem; empty for an accepted message
    :param same_as: number of the earlier request whose answer this one repeats
    :param other_than: number of the earlier request that was another message
    :param facts: what else stands in the answer's body
    """

    content: Any = field(default_factory=body)
    status: int = 202
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str | None = "right"
    known: bool = True
    method: str = "POST"
    same_as: int | None = None
    other_than: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    answer_headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        if isinstance(self.content, bytes):
            return self.content
        return json.dumps(self.content).encode()


@dataclass(frozen=True)
class Case:
    """:param settings: columns of the interface; ``secret``: of its key;
    ``backend``: of its backend
    :param stored: messages there are afterwards; their raw bytes, when a list
    """

    name: str
    asks: tuple[Ask, ...]
    stored: int | list[bytes]
    settings: Mapping[str, Any] = field(default_factory=dict)
    secret: Mapping[str, Any] = field(default_factory=dict)
    backend: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


class Response(NamedTuple):
    status: int
    headers: Mapping[str, str]
    content: bytes


class Door(Protocol):
    """What a runner of the table provides."""

    def prepare(self, case: Case) -> None:
        """A fresh live JSON interface with these settings, known to the server."""

    def ask(self, ask: Ask) -> Response: ...

    def stored(self) -> list[bytes]:
        """The raw bytes of the interface's messages, oldest first."""


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
#: a header that must be there, whatever it says
ANY = ""
LATER = {"Retry-After": "60"}


def refused(status: int, code: str, content: Any = None, **more: Any) -> Ask:
    content = body() if content is None else content
    return Ask(content, status, code, **more)


CASES = (
    Case(
        "more than agreed is put off and told until when",
        (
            Ask(body(1)),
            Ask(body(2)),
            refused(429, "rate.limit", body(3), answer_headers={"Retry-After": ANY}),
            refused(429, "rate.limit", body(4), answer_headers={"Retry-After": ANY}),
            refused(401, "auth.bearer", key="wrong"),
        ),
        2,
        backend={"rate_in": 0.02, "rate_in_burst": 2},
    ),
    Case("accepted and sealed", (Ask(),), [json.dumps(body()).encode()]),
    Case("a duplicate gets the first answer", (Ask(), Ask(same_as=0)), 1),
    Case(
        "an idempotency key counts where the body has none",
        (
            Ask(headers={"Idempotency-Key": "k1"}),
            Ask(headers={"Idempotency-Key": "k1"}, same_as=0),
            Ask(headers={"Idempotency-Key": "k2"}, other_than=0),
        ),
        2,
        settings={"dedupe_source": None},
    ),
    Case(
        "other bytes under the same key are a conflict",
        (
            Ask(),
            refused(409, "message.key_reused", body(note="changed")),
            refused(409, "message.key_reused", body(note="changed"), same_as=1),
        ),
        2,
    ),
    Case(
        "strangers learn nothing",
        (
            refused(401, "auth.bearer", known=False),
            refused(401, "auth.bearer", key="wrong", same_as=0),
            refused(401, "auth.bearer", key=None, same_as=0),
        ),
        0,
    ),
    Case(
        "an expired key is refused",
        (refused(401, "auth.bearer"),),
        0,
        secret={"expires_at": "2000-01-01"},
    ),
    Case(
        "a revoked key is refused",
        (refused(401, "auth.bearer"),),
        0,
        secret={"revoked_at": "2000-01-01"},
    ),
    *(
        Case(
            f"an interface that is {state} accepts nothing",
            (refused(503, "interface.not_live", answer_headers=LATER),),
            0,
            settings={"state": state},
        )
        for state in ("draft", "review", "approved", "suspended", "retired")
    ),
    Case(
        "an archived interface accepts nothing",
        (refused(503, "interface.not_live"),),
        0,
        settings={"active": False},
    ),
    Case(
        "the size is checked",
        (
            refused(413, "body.too_large", body(note="x" * 200), facts={"limit": 100}),
            Ask(),
        ),
        1,
        settings={"max_size": 100},
    ),
    Case(
        "bad bodies are told what to do",
        (
            refused(400, "json.syntax", b"{not json"),
            refused(400, "json.syntax", b"\xff\xfe"),
            refused(400, "body.empty", b""),
        ),
        0,
    ),
    Case(
        "message types are checked",
        (refused(422, "message.type"),),
        0,
        settings={"message_types": "ORU^R01"},
    ),
    Case(
        "form posts keep their raw body",
        (Ask(b'{"id": "m1", "a": "b&c=d"}', headers=FORM),),
        [b'{"id": "m1", "a": "b&c=d"}'],
    ),
    Case(
        "a table is known by its key, else by its bytes",
        (
            Ask(b"a;b\n1;2\n"),
            Ask(b"a;b\n1;2\n", same_as=0),
            Ask(b"a;b\n1;2\n", headers={"Idempotency-Key": "k"}, other_than=0),
        ),
        2,
        settings={"codec": "csv", "dedupe_source": None, "order_key_source": None},
    ),
)


def run(case: Case, door: Door) -> None:
    """Everything a case says.

    :raises AssertionError: the door does something else
    """
    door.prepare(case)
    answers: list[Response] = []
    for ask in case.asks:
        answer = door.ask(ask)
        _check(ask, answer, answers)
        answers.append(answer)
    stored = door.stored()
    expected = case.stored if isinstance(case.stored, list) else [*range(case.stored)]
    assert len(stored) == len(expected), f"{len(stored)} messages"
    if isinstance(case.stored, list):
        assert stored == expected


def _check(ask: Ask, answer: Response, earlier: list[Response]) -> None:
    assert answer.status == ask.status, (answer.status, answer.content)
    told = json.loads(answer.content)
    if ask.code:
        assert told["code"] == ask.code
        assert all(told[name] for name in ("title", "detail", "next"))
    else:
        assert told["status"] == "accepted" and len(told["uid"]) == 32
    for name, value in ask.facts.items():
        assert told[name] == value, name
    headers = {name.lower(): value for name, value in answer.headers.items()}
    assert headers["content-type"] == "application/json; charset=utf-8"
    for name, value in ask.answer_headers.items():
        assert headers[name.lower()] == value or value == ANY, name
    if ask.same_as is not None:
        assert answer.content == earlier[ask.same_as].content
    if ask.other_than is not None:
        assert told["id"] != json.loads(earlier[ask.other_than].content)["id"]
