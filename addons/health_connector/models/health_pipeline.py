"""The pipeline: claimed messages to business effect, in one transaction a batch.

open ▶ decode ▶ map and minimise ▶ translate codes ▶ validate ▶ apply ▶ bind ▶ done
"""

import json
import logging
import math
import time
from dataclasses import replace
from datetime import timedelta

from odoo import api, fields, models

from ..lib import claiming, states
from ..lib.claiming import LEASE
from ..lib.errors import CONFLICT, HealthError
from ..lib.mapping import resolve
from .applying import Applier
from .shift import SLICE
from .work import DATABASE_CONFLICTS, describe, hold, is_database_gone, transaction

_logger = logging.getLogger(__name__)

#: how often a message alone is tried again when the database reports a conflict
_CONFLICT_ROUNDS = 5
_CONFLICT_PAUSE = 0.05


class HealthPipeline(models.AbstractModel):
    """Applies claimed messages. No fields, nothing over RPC."""

    _name = "health.pipeline"
    _description = "Pipeline"

    @api.model
    def _apply_claimed(self, ids, owner):
        """Apply a batch; one by one what may have ended a worker before, or all when
        the database refuses the batch.

        :return: works that failed
        """
        with transaction(self.env) as env:
            alone = claiming.suspects(env.cr, ids)
        failed = []
        try:
            together = sorted(set(ids) - set(alone))
            failed = self._apply_batch(together, owner) if together else []
        except Exception as exc:
            if is_database_gone(exc):
                raise
            alone = ids
            if not isinstance(exc, DATABASE_CONFLICTS):
                _logger.warning(
                    "a batch of %s was refused by the database (%s): one by one",
                    len(ids),
                    type(exc).__name__,
                )
        return failed + (self._apply_singly(alone, owner) if alone else [])

    @api.model
    def _apply_singly(self, ids, owner):
        """Apply messages each in its own transaction, none after a failed one of its
        order key. A try is counted when it begins: should one end this worker, it is
        that one's try only."""
        with transaction(self.env) as env:
            keys = claiming.order_keys(env.cr, ids)
        failed, stuck = [], set()
        self._renew(ids, owner, tries=-1)
        renewed = time.monotonic()
        for number, message_id in enumerate(ids):
            key = keys[message_id]
            if time.monotonic() - renewed > LEASE / 2:
                self._renew(ids[number:], owner)
                renewed = time.monotonic()
            if message_id not in self._renew([message_id], owner, tries=1):
                continue
            if key in stuck:
                self._give_back(message_id, owner)
                continue
            failures = self._apply_alone(message_id, owner)
            failed += failures or []
            if key and failures != []:
                stuck.add(key)
        return failed

    @api.model
    def _renew(self, ids, owner, tries=0):
        """Hold on to messages in a transaction of its own, see ``claiming.renew``."""
        with transaction(self.env) as env:
            return claiming.renew(env.cr, ids, owner, tries)

    @api.model
    def _apply_alone(self, message_id, owner):
        """Apply one message in its own transaction; conflicts are tried again.

        :return: its failures, or None when the database had too many conflicts and
            it was given back
        """
        for _round in range(_CONFLICT_ROUNDS):
            try:
                return self._apply_batch([message_id], owner)
            except DATABASE_CONFLICTS:
                time.sleep(_CONFLICT_PAUSE)
            except Exception as exc:
                if is_database_gone(exc):
                    raise
                return [(message_id, describe(exc), "commit", 0.0)]
        self._give_back(message_id, owner)
        return None

    @api.model
    def _give_back(self, message_id, owner):
        """Back in line, the try not counted."""
        with transaction(self.env) as env:
            due = fields.Datetime.now() + timedelta(seconds=1)
            env["health.message"]._transition(
                states.PENDING,
                {
                    work.id: {
                        "tries": work.tries - 1,
                        "next_try_at": due,
                        "lease_owner": None,
                    }
                    for work in hold(env, [message_id], owner)
                },
            )

    @api.model
    def _apply_batch(self, ids, owner):
        """Apply messages in one transaction and commit it. Their rows are locked all
        the while, so that no lease needs to be renewed.

        :return: list of (message id, Failure, step, milliseconds)
        """
        until = time.monotonic() + SLICE
        with transaction(self.env) as env:
            pipeline = env["health.pipeline"]
            works = hold(env, ids, owner)
            for interface, group in pipeline._by_interface(works):
                pipeline._read(interface, group)
                pipeline._apply_group(interface, group, until)
                pipeline._name_subjects(interface, group)
            pipeline._defer([work for work in works if work.deferred])
            pipeline._finish(
                [work for work in works if not (work.failure or work.deferred)]
            )
        return [
            (work.id, work.failure, work.step, work.spent * 1000)
            for work in works
            if work.failure is not None
        ]

    @api.model
    def _by_interface(self, works):
        groups = {}
        for work in works:
            groups.setdefault(work.interface, []).append(work)
        return groups.items()

    @api.model
    def _read(self, interface, works):
        """Open, decode, map, translate and check: bytes to canonical documents."""
        payloads = self.env["health.payload"]._open_raw([work.id for work in works])
        codec = self.env["health.plugin"]._get("codec", interface.codec)
        mapper = interface._mapper()
        for work in works:
            with work.doing("accept"):
                self._refuse_conflict(work)
            if work.failure:
                continue
            with work.doing("decode"):
                tree = codec._decode(*payloads[work.id])
            if work.failure:
                continue
            with work.doing("map"):
                result = mapper(tree)
                work.document, work.lookups = result.document, result.lookups
        self._translate(interface, [work for work in works if not work.failure])

    @api.model
    def _refuse_conflict(self, work):
        if work.conflict_id:
            raise HealthError(
                "message.key_reused",
                CONFLICT,
                subject={"reference": work.external_ref, "first": work.conflict_id},
                group=("reference",),
            )

    @api.model
    def _translate(self, interface, works):
        """Translate the codes of all documents with one query, then check each."""
        wanted = {(x.code_map, x.value) for work in works for x in work.lookups}
        table = self.env["health.code.map"]._translate(interface.company_id, wanted)
        contract = interface.contract_id and interface.contract_id._compiled()
        for work in works:
            with work.doing("translate"):
                resolve(work.lookups, table)
            if contract and not work.failure:
                with work.doing("validate"):
                    contract.validate(work.document)

    @api.model
    def _apply_group(self, interface, works, until=math.inf):
        """Hand the documents of one interface to its handler, see :class:`Applier`."""
        handler = self._handler(interface)
        Applier(self.env, interface, handler, until).apply(works)
        self._keep_canonical([work for work in works if work.outcome])

    @api.model
    def _defer(self, works):
        """Back in line behind the one that failed, the try not counted."""
        self.env["health.message"]._transition(
            states.PENDING,
            {work.id: {"tries": work.tries - 1, "lease_owner": None} for work in works},
        )

    @api.model
    def _handler(self, interface):
        handler = self.env["health.plugin"]._get("handler", interface.handler)
        return handler.with_company(interface.company_id)

    @api.model
    def _name_subjects(self, interface, works):
        """Let the handler name the business objects of documents that failed."""
        for work in works:
            if work.failure is None or work.document is None:
                continue
            try:
                names = self._handler(interface)._describe(work.document)
            except Exception as exc:  # the document may be broken in any way
                kind = type(exc).__name__
                _logger.warning("message %s cannot be described: %s", work.id, kind)
                continue
            subject = {**names, **work.failure.subject}
            work.failure = replace(work.failure, subject=subject)

    @api.model
    def _keep_canonical(self, works):
        """Seal the canonical documents of what was applied."""
        self.env["health.payload"]._store(
            "canonical",
            {
                work.id: (
                    work.uid,
                    json.dumps(work.document, ensure_ascii=False).encode(),
                    "application/json",
                )
                for work in works
            },
        )

    @api.model
    def _finish(self, works):
        """Mark the applied messages and append their attempts."""
        now = fields.Datetime.now()
        done = [work for work in works if not work.outcome.ignored]
        ignored = [work for work in works if work.outcome.ignored]
        message = self.env["health.message"]
        message._transition(states.DONE, {work.id: self._result(work) for work in done})
        message._transition(
            states.IGNORED,
            {
                work.id: {**self._result(work), "reason": work.outcome.ignored}
                for work in ignored
            },
        )
        self.env["health.attempt"]._append(
            {
                "message_id": work.id,
                "number": work.tries,
                "step": work.step,
                "started_at": now,
                "duration_ms": work.spent * 1000,
                "outcome": "ignored" if work.outcome.ignored else "done",
                "code": work.outcome.ignored or None,
            }
            for work in works
        )
        held = {work.exception_id for work in works if work.exception_id}
        self.env["health.exception"].browse(held)._close_when_clear()

    @api.model
    def _result(self, work):
        record = work.outcome.record
        return {
            "res_model": record._name if record else None,
            "res_id": record.id if record else None,
            "error_class": None,
            "error_code": None,
            "lease_owner": None,
        }
