"""Typed errors of the connector.

An error carries a stable ``code``, the ``error_class`` that decides what happens
next (design §7) and ``params`` free of content. ``subject`` names the business
objects staff need (an order number, a clinic code): it is stored on the exception
record, behind its access rules, and never logged. Other addons need not inherit
from here: anything with ``code`` and ``error_class`` is understood.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TRANSIENT = "transient"
THROTTLED = "throttled"
AUTH = "auth"
REJECTED = "rejected"
CONTRACT = "contract"
MAPPING = "mapping"
CONFLICT = "conflict"
BUG = "bug"

ERROR_CLASSES = (
    TRANSIENT,
    THROTTLED,
    AUTH,
    REJECTED,
    CONTRACT,
    MAPPING,
    CONFLICT,
    BUG,
)


class HealthError(Exception):
    """A failure with a name. Its text is the code only, so it is safe to log.

    :param code: stable dotted name, for example ``lab.order_unknown``
    :param error_class: one of :data:`ERROR_CLASSES`
    :param params: positions, counts and code names; never values of a payload
    :param subject: business references for staff; kept out of logs
    :param group: keys of ``subject`` that tell two causes of one code apart
    :param retry_after: seconds after which the partner wants to be asked again
    """

    def __init__(
        self,
        code: str,
        error_class: str = BUG,
        params: Mapping[str, Any] | None = None,
        subject: Mapping[str, Any] | None = None,
        group: tuple[str, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.error_class = error_class
        self.params = dict(params or {})
        self.subject = dict(subject or {})
        self.group = tuple(group)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Failure:
    """What is recorded of a failed try. ``trace`` holds places, never values.

    ``retry_after``: seconds the partner asked for. ``counted``: whether the try uses up
    the message's budget; that of a breaker's probe does not, as it says something of
    the partner and nothing of the message.
    """

    code: str
    error_class: str
    params: dict[str, Any] = field(default_factory=dict)
    subject: dict[str, Any] = field(default_factory=dict)
    group: tuple[str, ...] = ()
    trace: str = ""
    retry_after: float | None = None
    counted: bool = True

    @property
    def cause(self) -> str:
        """The text that makes two failures the same cause."""
        grouped = "|".join(f"{key}={self.subject.get(key)}" for key in self.group)
        return f"{self.code}|{grouped}"


def failure_of(exc: BaseException) -> Failure:
    """Describe any exception without repeating what it says.

    Only typed errors are trusted to be free of content; of all others nothing but
    the type's name and the places in the code are kept.
    """
    error_class = getattr(exc, "error_class", None)
    code = getattr(exc, "code", None)
    if error_class in ERROR_CLASSES and isinstance(code, str):
        return Failure(
            code=code,
            error_class=error_class,
            params=_storable(getattr(exc, "params", {}) or {}),
            subject=_storable(getattr(exc, "subject", {}) or {}),
            group=tuple(getattr(exc, "group", ()) or ()),
            retry_after=_seconds(getattr(exc, "retry_after", None)),
        )
    return Failure(
        code=f"bug.{type(exc).__name__}",
        error_class=BUG,
        trace=places(exc),
    )


def _seconds(value: Any) -> float | None:
    """A wish that is a number of seconds; any other is none."""
    if isinstance(value, (int, float)) and math.isfinite(value) and value >= 0:
        return float(value)
    return None


def _storable(value: Any) -> Any:
    """What a JSON column can hold: recording a failure must not fail over it."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_storable(key): _storable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_storable(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def places(exc: BaseException, limit: int = 12) -> str:
    """The innermost frames as ``module:line function``, without source or values."""
    frames = traceback.extract_tb(exc.__traceback__)[-limit:]
    return "\n".join(
        f"{'/'.join(frame.filename.split('/')[-3:])}:{frame.lineno} {frame.name}"
        for frame in frames
    )
