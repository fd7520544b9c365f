"""What the steps of the drain share: their transactions, their unit of work and how
a failure is described. Plain Python, no model."""

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg2
import psycopg2.errors

from odoo import SUPERUSER_ID, api
from odoo.exceptions import UserError

from ..lib.errors import CONFLICT, REJECTED, TRANSIENT, Failure, failure_of, places

_logger = logging.getLogger(__name__)

#: conflicts are the database's business and no try of the message
DATABASE_CONFLICTS = (
    psycopg2.errors.SerializationFailure,
    psycopg2.errors.DeadlockDetected,
    psycopg2.errors.LockNotAvailable,
)

#: after this a job that nobody has begun is not waited for; a job runner that died, or
#: one whose places are taken by jobs that died, needs up to a minute to come round
UNTAKEN = timedelta(seconds=10)

#: SQLSTATE: connection, no room left (disk, memory, connections), shutdown, start
_GONE = ("08", "53", "57P01", "57P02", "57P03")
#: what psycopg2 raises without a word from the server: the connection is lost
_LOST = (psycopg2.OperationalError, psycopg2.DatabaseError)


def is_database_gone(exc: BaseException) -> bool:
    """Whether the database went away or has no room: nothing can be told of the message
    then. Its lease ends, and it is tried again."""
    if isinstance(exc, psycopg2.InterfaceError) or type(exc) in _LOST:
        return True
    code = exc.pgcode if isinstance(exc, psycopg2.OperationalError) else None
    return bool(code) and code.startswith(_GONE)


# A replay has its original's time: what a handler takes for "now" when the message
# names no time of its own must not make an old message the latest news.
_SELECT = """
SELECT id, uid, interface_id, tries, conflict_id, external_ref, exception_id,
       COALESCE((SELECT o.accepted_at FROM health_message o
                  WHERE o.id = health_message.replay_of_id), accepted_at),
       order_key
  FROM health_message
"""
_HOLD = f"""{_SELECT}
 WHERE id = ANY(%s) AND state = 'processing' AND lease_owner = %s
 ORDER BY id FOR UPDATE
"""
_LOOK = f"{_SELECT} WHERE id = ANY(%s) ORDER BY id"


@contextmanager
def transaction(env):
    """An environment on a cursor of its own: commits at the end, rolls back on an
    error. People's tracking is off in it: evidence is on the message."""
    context = dict(env.context, tracking_disable=True, mail_create_nolog=True)
    with env.registry.cursor() as cr:
        yield api.Environment(cr, SUPERUSER_ID, context)
    env.registry.signal_changes()


def describe(exc: Exception) -> Failure:
    """A failure with Odoo's own refusals told apart from faults."""
    if isinstance(exc, UserError):
        return Failure(f"odoo.{type(exc).__name__}", REJECTED, trace=places(exc))
    if isinstance(exc, psycopg2.OperationalError):  # disk full, statement timeout …
        return Failure(f"database.{type(exc).__name__}", TRANSIENT, trace=places(exc))
    if isinstance(exc, psycopg2.IntegrityError):
        constraint = exc.diag.constraint_name or "unknown"
        return Failure("odoo.constraint", CONFLICT, {"constraint": constraint})
    return failure_of(exc)


@dataclass(slots=True)
class Work:
    """One claimed message on its way through the pipeline."""

    id: int
    uid: str
    interface: Any
    tries: int
    conflict_id: int | None
    external_ref: str
    exception_id: int | None
    accepted_at: Any
    order_key: str | None
    step: str = "open"
    document: Any = None
    lookups: Any = ()
    failure: Failure | None = None
    outcome: Any = None
    #: an earlier message of its order key failed: back in line, untouched
    deferred: bool = False
    spent: float = 0.0

    @contextmanager
    def doing(self, step):
        """Time a step; a failure in it is noted, the database's own pass through."""
        self.step = step
        started = time.perf_counter()
        try:
            yield
        except Exception as exc:  # every failure becomes evidence
            if isinstance(exc, DATABASE_CONFLICTS) or is_database_gone(exc):
                raise
            self.fail(exc)
        finally:
            self.spent += time.perf_counter() - started

    def fail(self, exc):
        """Note a failure of the present step."""
        self.failure = describe(exc)
        if self.failure.trace:
            _logger.warning(
                "message %s failed in step %s: %s at\n%s",
                self.id,
                self.step,
                self.failure.code,
                self.failure.trace,
            )


def hold(env, ids, owner) -> list[Work]:
    """Lock the messages that ``owner`` still holds the lease of; one that another
    worker took over is left to it."""
    env.cr.execute(_HOLD, [list(ids), owner])
    return _works(env, env.cr.fetchall())


def look(env, ids) -> list[Work]:
    """Messages in any state, neither locked nor claimed: for what is rolled back."""
    env.cr.execute(_LOOK, [list(ids)])
    return _works(env, env.cr.fetchall())


def _works(env, rows):
    interfaces = env["health.interface"]
    return [Work(row[0], row[1], interfaces.browse(row[2]), *row[3:]) for row in rows]
