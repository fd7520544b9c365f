"""From a record to the bytes that leave.

build ▶ validate ▶ map ▶ encode, sealed with the intent, and at the end: bind.
"""

import json

from odoo import api, models

from ..lib import json_body, states
from ..lib.errors import CONTRACT, HealthError
from ..lib.mapping import resolve
from ..lib.transport import Outgoing
from .out_work import hold_out
from .work import transaction


class HealthOutgoing(models.AbstractModel):
    """Builds what is sent. No fields, nothing over RPC."""

    _name = "health.outgoing"
    _description = "Outgoing content"

    @api.model
    def _build(self, ids, owner):
        """Give each message its bytes, in one transaction; record what failed.

        What was sent once is sent again as it was: the same key never goes with other
        bytes, unless a person has the message processed again after it was refused.

        :return: works that are ready to be sent, most urgent first
        """
        with transaction(self.env) as env:
            outgoing = env["health.outgoing"]
            works = hold_out(env, ids, owner)
            sealed = env["health.payload"]._open_raw(ids, "sent")
            for work in works:
                with work.doing("build"), env.cr.savepoint():
                    outgoing._prepare(work, sealed.get(work.id))
            outgoing._ignore([work for work in works if work.moot])
        failed = [
            (work.id, work.failure, work.step, work.spent * 1000)
            for work in works
            if work.failure
        ]
        self.env["health.failure"]._record_failures(failed, owner)
        ready = [work for work in works if not (work.failure or work.moot)]
        for work in ready:
            work.interface = work.interface.with_env(self.env)
        return ready

    @api.model
    def _prepare(self, work, sealed):
        interface = work.interface
        codec = self.env["health.plugin"]._get("codec", interface.codec)
        body = sealed[0] if sealed else self._make(work, codec)
        if body is None:
            work.moot = "record_deleted"
            return
        work.is_new = not sealed
        work.outgoing = Outgoing(
            work.uid,
            body,
            codec._content_type,
            interface.charset or codec._sent_charset,
            work.message_type or "",
            work.tries if work.is_new else max(work.tries, 2),
        )

    @api.model
    def _make(self, work, codec):
        """The bytes to send; None when the record is gone. What a route brought is
        passed on as it was accepted."""
        if not work.res_model:
            accepted = self.env["health.payload"]._open_raw([work.id])
            if accepted:
                return accepted[work.id][0]
        document = self._document(work)
        return None if document is None else self._encode(work, codec, document)

    @api.model
    def _seal(self, work):
        """Keep what is about to be sent, in the transaction of the intent."""
        if work.is_new:
            sent = work.outgoing
            content = (sent.uid, sent.body, sent.content_type)
            self.env["health.payload"]._store("sent", {work.id: content})

    @api.model
    def _document(self, work):
        """The canonical document, valid by the contract; None when its record is gone.

        It was sealed when the message was emitted, or is built of the record as it
        stands now.
        """
        interface = work.interface
        stored = self.env["health.payload"]._open_raw([work.id], "canonical")
        if work.id in stored:
            document = json.loads(stored[work.id][0])
        else:
            record = self.env[work.res_model].browse(work.res_id).exists()
            if not record:
                return None
            handler = self.env["health.plugin"]._get("handler", interface.handler)
            handler = handler.with_company(interface.company_id)
            document = handler._build(record, interface)
        if interface.contract_id:
            interface.contract_id._compiled().validate(document)
        return document

    @api.model
    def _encode(self, work, codec, document):
        """The partner's form of a canonical document."""
        interface = work.interface.with_env(self.env)
        mapping = interface.mapping_id
        if mapping and mapping.codec != "record":
            result = interface._mapper()(document)
            wanted = [(each.code_map, each.value) for each in result.lookups]
            table = self.env["health.code.map"]._translate(interface.company_id, wanted)
            resolve(result.lookups, table)
            document = result.document
        try:
            return codec._encode_document(document, interface, work)
        except HealthError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, LookupError):
            # the cause's text could repeat a value
            raise HealthError(
                "outbound.encode", CONTRACT, {"codec": interface.codec}
            ) from None

    @api.model
    def _ignore(self, works):
        """There is nothing left to send."""
        self.env["health.message"]._transition(
            states.IGNORED,
            {work.id: {"reason": work.moot, "lease_owner": None} for work in works},
        )
        for work in works:
            self.env["health.delivery"]._attempted(
                work.id, work.tries, "build", "ignored", work.moot, 0.0
            )
        held = {work.exception_id for work in works if work.exception_id}
        self.env["health.exception"].browse(held)._close_when_clear()

    # -- what the answer tells ------------------------------------------------------

    @api.model
    def _bind(self, work, sent):
        """Remember the partner's id of the record. A delivery stays one whatever the
        answer holds.

        :return: the error's code when the id belongs to another record, else empty
        """
        external_id = sent.external_id or self._answered_id(work, sent)
        if not external_id or not work.res_id:
            return ""
        row = (work.res_model, work.res_id, external_id, "", work.id)
        try:
            with self.env.cr.savepoint():
                backend = work.interface.backend_id.with_env(self.env)
                self.env["health.binding"]._store(backend, [row])
        except HealthError as exc:
            return exc.code
        return ""

    @api.model
    def _answered_id(self, work, sent):
        source = work.interface.answer_id_source
        if not source or not sent.answer:
            return ""
        try:
            tree = json_body.parse(sent.answer, "utf-8")
        except HealthError:
            return ""
        found = self.env["health.codec.json"]._compile(source)(tree)
        return str(found) if isinstance(found, (str, int)) else ""
