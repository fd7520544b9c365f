"""The preview of a replay: counted and rehearsed, nothing changed."""

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ..lib import replay as rules, states

# served by health_message_blocking_idx
_ORDER_KEYS = f"""
SELECT m.id, m.order_key, m.order_key IS NOT NULL AND EXISTS (
       SELECT 1 FROM health_message e
        WHERE e.backend_id = m.backend_id AND e.order_key = m.order_key
          AND e.order_key IS NOT NULL AND e.state IN {states.sql_list(states.STUCK)})
  FROM health_message m WHERE m.id = ANY(%s)
"""


class HealthReplayPreview(models.AbstractModel):
    """Finds out what a replay would do, and says it. No fields."""

    _name = "health.replay.preview"
    _description = "Preview of a replay"

    @api.model
    def _preview(self, replay):
        """The values of the preview fields of a replay.

        :raises HealthError: ``rehearsal.busy``
        """
        messages = self.env["health.message"]
        replay.sudo().bound_id = messages.search([], order="id desc", limit=1).id or 0
        targets = replay._targets()
        total = messages.search_count(targets)
        own = messages.search_count(replay._own())
        incoming = targets & Domain("direction", "=", "in")
        inbound = messages.search_count(incoming)
        ids = self._sample(incoming, inbound)
        verdicts = self.env["health.rehearsal"]._rehearse([(id_, None) for id_ in ids])
        keys, stuck = self._order_keys(ids)
        found = rules.forecast(verdicts, keys, stuck)
        return {
            "previewed_at": fields.Datetime.now(),
            "total": total,
            "outbound": total - inbound,
            "left_out": own - total,
            "other_company": messages.search_count(replay._chosen()) - own,
            "preview_size": found.size,
            "preview_change": found.change,
            "preview_noop": found.noop,
            "preview_fail": found.fail,
            "preview_behind": found.behind,
            "preview_causes": rules.causes(verdicts.values()),
        }

    @api.model
    def _sample(self, domain, total):
        """Ids spread evenly over all that match, or all of them when they are few."""
        query = self.env["health.message"]._search(domain, order="id")
        rows = self.env.execute_query(
            SQL(
                """SELECT id FROM (
                       SELECT id, row_number() OVER (ORDER BY id) AS n FROM (%s) AS t
                   ) AS numbered WHERE n %% %s = 0 ORDER BY id""",
                query.select(SQL.identifier("health_message", "id")),
                rules.sample_step(total),
            )
        )
        return [row[0] for row in rows]

    @api.model
    def _order_keys(self, ids):
        """{id: order key}, and those of the keys that wait for a person already."""
        self.env.cr.execute(_ORDER_KEYS, [list(ids)])
        rows = self.env.cr.fetchall()
        keys = {message_id: key for message_id, key, _stuck in rows}
        return keys, {key for _id, key, stuck in rows if stuck}

    # -- words ----------------------------------------------------------------------

    @api.model
    def _sentences(self, replay):
        """What the preview found, in words; the most important first."""
        if not replay.previewed_at:
            return
        yield self.env._("%s message(s) would be replayed.", replay.total)
        if replay.outbound:
            yield self.env._(
                "%s of them go out: THE PARTNER RECEIVES THEM AGAIN, as new messages "
                "under new keys.",
                replay.outbound,
            )
        yield from self._rehearsed(replay)
        if replay.left_out:
            yield self.env._(
                "%s chosen message(s) are left out: they are still open. Process them "
                "again or cancel them instead.",
                replay.left_out,
            )
        if replay.other_company:
            yield self.env._(
                "%s chosen message(s) are left out: they are of another company. "
                "Replay these on their own.",
                replay.other_company,
            )

    @api.model
    def _rehearsed(self, replay):
        inbound = replay.total - replay.outbound
        if not inbound:
            return
        if replay.preview_size < inbound:
            yield self.env._(
                "A SAMPLE of %(size)s, spread over all %(all)s inbound messages, was "
                "rehearsed. Of these:",
                size=replay.preview_size,
                all=inbound,
            )
        else:
            yield self.env._("All inbound messages were rehearsed. Of these:")
        figures = [
            (replay.preview_change, self.env._("%s would change something")),
            (replay.preview_noop, self.env._("%s would be no-ops")),
            (replay.preview_fail, self.env._("%s would fail")),
            (
                replay.preview_behind,
                self.env._("%s would wait behind one that needs a person"),
            ),
        ]
        for count, words in figures:
            if count:
                yield "  • " + words % count
        yield from self._causes(replay)

    @api.model
    def _causes(self, replay):
        books = self.env["health.playbook"].sudo()
        for code, count in (replay.preview_causes or {}).items():
            book = books.search([("code", "=", code)], limit=1)
            yield f"      {count} × {book._render('title', {}) or code}"
