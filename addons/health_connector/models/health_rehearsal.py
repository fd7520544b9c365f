"""Rehearsal: what processing a message would do, found out and undone."""

from contextlib import contextmanager

from odoo import SUPERUSER_ID, api, models

from ..lib import verdict as verdicts
from ..lib.errors import TRANSIENT, HealthError
from ..lib.verdict import Verdict, business_changes, canonical_bytes
from .work import DATABASE_CONFLICTS, describe, look

#: how often a rehearsal that met a conflict in the database begins again
_ROUNDS = 3
#: a rehearsal must not hold up the drain: it gives way instead
_GIVE_WAY = "SET LOCAL lock_timeout = '2s'"

# Counts of this transaction, savepoints included. They only grow, also by what a
# savepoint took back, and go on from one transaction to the next: use differences.
_ROWS_WRITTEN = """
SELECT relname, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables
 WHERE n_tup_ins + n_tup_upd + n_tup_del > 0
"""


@contextmanager
def rolled_back(env):
    """An environment on a cursor of its own whose every trace is undone at the end.

    What was to happen after a commit never does; caches that were changed within are
    cleared. Sequences of the database keep the numbers that were drawn.
    """
    registry = env.registry
    context = dict(env.context, tracking_disable=True, mail_create_nolog=True)
    outer = set(registry.cache_invalidated)
    cr = registry.cursor()
    try:
        yield api.Environment(cr, SUPERUSER_ID, context)
    finally:
        cr.rollback()
        cr.close()
        # what the caller has invalidated is still to be told to other processes
        registry.reset_changes()
        registry.cache_invalidated.update(outer)


class HealthRehearsal(models.AbstractModel):
    """Runs messages through the pipeline in a transaction that is rolled back.

    No fields, nothing over RPC.
    """

    _name = "health.rehearsal"
    _description = "Rehearsal"

    @api.model
    def _rehearse(self, pairs):
        """What would become of messages, in any state, if they were processed now.

        They are taken in the order of their ids, and each sees what those before it
        would have done. Nothing stays; no failure is recorded.

        :param pairs: [(message id, interface to go through or None for its own)]
        :return: {message id: :class:`Verdict`}; messages that are gone are left out
        :raises HealthError: ``rehearsal.busy`` (class transient): others are at work
            on the same records
        """
        for _round in range(_ROUNDS):
            try:
                with rolled_back(self.env) as env:
                    return env["health.rehearsal"]._run(dict(pairs))
            except DATABASE_CONFLICTS:
                continue
        raise HealthError("rehearsal.busy", TRANSIENT)

    @api.model
    def _run(self, interfaces):
        self.env.cr.execute(_GIVE_WAY)
        works = look(self.env, interfaces)
        for work in works:
            through = interfaces[work.id]
            if through:
                work.interface = through.with_env(self.env)
        pipeline = self.env["health.pipeline"]
        for interface, group in pipeline._by_interface(works):
            self._read(interface, group)
        return {work.id: self._apply(work) for work in works}

    @api.model
    def _read(self, interface, works):
        """Read a group; when that fails as a whole, each alone, so that one payload
        that does not open spoils no other's verdict."""
        try:
            self.env["health.pipeline"]._read(interface, works)
        except DATABASE_CONFLICTS:
            raise
        except Exception as exc:
            if len(works) == 1:
                works[0].failure = describe(exc)
                return
            for work in works:
                self._read(interface, [work])

    @api.model
    def _apply(self, work):
        """Apply one message on top of those before it."""
        document_hash = self._document_hash(work)
        before = self._rows_written()
        self._apply_guarded(work)
        if work.failure:
            return Verdict(
                verdicts.FAILED,
                work.failure.code,
                document_hash=document_hash,
                step=work.step,
            )
        record = work.outcome.record
        return Verdict(
            verdicts.IGNORED if work.outcome.ignored else verdicts.DONE,
            work.outcome.ignored or "",
            record._name if record else "",
            record.id if record else 0,
            business_changes(before, self._rows_written()),
            document_hash,
        )

    @api.model
    def _apply_guarded(self, work):
        """What fails outside the message's own savepoint, such as a handler that is
        not installed, is that message's failure too."""
        try:
            with self.env.cr.savepoint():
                self.env["health.pipeline"]._apply_group(work.interface, [work])
        except DATABASE_CONFLICTS:
            raise
        except Exception as exc:
            work.failure = describe(exc)

    @api.model
    def _document_hash(self, work):
        """Of what the contract let through, before a handler may alter it."""
        if work.failure or work.document is None:
            return ""
        ring = self.env["health.keyring"]._ring()
        return ring.blind("document", canonical_bytes(work.document))

    @api.model
    def _rows_written(self):
        """{table: rows} written so far. The statistics of a transaction are read
        anew each time; nothing of the ORM may be pending."""
        self.env.flush_all()
        self.env.cr.execute(_ROWS_WRITTEN)
        return dict(self.env.cr.fetchall())
