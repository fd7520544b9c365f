"""Which messages a person means: the whole search, or those that are ticked."""

import ast

from odoo import api, models
from odoo.exceptions import UserError
from odoo.fields import Domain


class HealthChoice(models.AbstractModel):
    """What the list tells the server about a selection.

    The list's controller (``static/src/message_list``) says ``domain_selected`` when
    the search as a whole is selected. Only then is the domain meant: Odoo sends
    ``active_domain`` also with a few ticked rows, and ``active_ids`` is cut at a limit.
    The domain is evaluated here, with the rights of the person. No fields.
    """

    _name = "health.choice"
    _description = "Chosen messages"

    @api.model
    def _domain(self):
        """The chosen messages as a list domain."""
        context = self.env.context
        if context.get("active_model") == "health.exception":
            return [("exception_id", "in", self._ids_or_search("health.exception"))]
        if self._is_whole_search():
            return list(context["active_domain"])
        return [("id", "in", list(context.get("active_ids") or []))]

    @api.model
    def _is_whole_search(self):
        """One id is one message, whatever an earlier action has left in the context."""
        context = self.env.context
        return bool(
            context.get("domain_selected")
            and context.get("active_model") == "health.message"
            and context.get("active_domain") is not None
            and len(context.get("active_ids") or []) != 1
        )

    @api.model
    def _ids_or_search(self, model):
        context = self.env.context
        if context.get("domain_selected") and context.get("active_domain") is not None:
            return self.env[model].search(context["active_domain"]).ids
        return list(context.get("active_ids") or [])

    @api.model
    def _narrow(self, messages, domain):
        """Of the chosen messages those that fit ``domain``.

        :param messages: what the client named; widened to the whole search when that
            is what was selected
        """
        if self._is_whole_search():
            return messages.search(Domain(self._domain()) & Domain(domain))
        return messages.filtered_domain(domain)

    @api.model
    def _parse(self, text):
        """A stored domain. Literals only: nothing in it is run.

        :raises UserError: it is no domain, or names fields that this user may not see
        """
        try:
            domain = Domain(ast.literal_eval(text or "[]"))
            domain.validate(self.env["health.message"].sudo())
            return domain
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise UserError(
                self.env._("The search cannot be read. Choose the messages again.")
            ) from None
