from collections.abc import Iterable

from odoo import api, fields, models
from odoo.fields import NO_ACCESS, Domain
from odoo.tools import SQL

from ..exceptions import HealthUserError
from ..lib.authority import normalise_system, normalise_type
from ..lib.blind import normalise

SCOPE = "health.identifier"
KEY_FIELDS = ("company_id", "system", "type", "value")

Wanted = tuple[str, str, str]  # assigning authority, type, value


class HealthIdentifier(models.Model):
    """A number by which an authority knows a person.

    The clear value is stored here, once. Whatever else needs to find it (look-up,
    search, uniqueness, connectors) uses ``value_blind``, its keyed hash.
    """

    _name = "health.identifier"
    _description = "Identifier"
    _rec_name = "value"
    _order = "partner_id, id"
    _check_company_auto = True

    partner_id = fields.Many2one(
        "res.partner",
        string="Person",
        required=True,
        index=True,
        ondelete="cascade",
        check_company=True,
    )
    system = fields.Char(
        string="Authority",
        required=True,
        help="Who assigned the number: a short name such as NORTHLAB, an OID or a "
        "URI, as partner systems send it.",
    )
    type = fields.Char(
        required=True,
        default="MR",
        help="Code of HL7 table 0203: MR medical record number, PI patient internal "
        "identifier, SS social security number, NPI national provider identifier, "
        "PPN passport, EI employee number.",
    )
    value = fields.Char(string="Number", required=True, copy=False)
    value_blind = fields.Char(
        required=True,
        copy=False,
        groups=NO_ACCESS,
        help="Keyed hash of the number. Derived from it, never given.",
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        default=lambda self: self.env.company,
    )
    active = fields.Boolean(
        default=True,
        help="An archived number no longer finds the person and is never given to "
        "another one.",
    )

    # The hash stands second because look-ups by number alone use this index too.
    _authority_uniq = models.Constraint(
        "UNIQUE (company_id, value_blind, system, type)",
        "This number of this authority and type is in use already.",
    )

    @api.depends("type", "value", "system")
    def _compute_display_name(self):
        for rec in self:
            rec.display_name = f"{rec.type} {rec.value} ({rec.system})"

    # -- writing: one spelling, the hash follows the value -----------------------

    @api.model_create_multi
    def create(self, vals_list):
        """Normalise, hash and refuse a number that is in use.

        :raises HealthUserError: ``identifier.in_use``, ``identifier.blank``,
            ``keyring.*``
        """
        defaults = {"company_id": self.env.company.id, "type": "MR"}
        rows = [self._normalised({**defaults, **vals}) for vals in vals_list]
        self._refuse_in_use([self._key_of(row) for row in rows])
        return super().create(rows)

    def write(self, vals):
        """As :meth:`create`, for what changes."""
        vals = self._normalised(vals)
        if any(name in vals for name in KEY_FIELDS):
            self._refuse_in_use([rec._key_of(vals) for rec in self])
        return super().write(vals)

    @api.model
    def _normalised(self, vals: dict) -> dict:
        """``vals`` in their stored spelling, with the hash of a given value."""
        row = {name: v for name, v in vals.items() if name != "value_blind"}
        if "system" in row:
            row["system"] = normalise_system(row["system"] or "")
        if "type" in row:
            row["type"] = normalise_type(row["type"] or "")
        if "value" in row:
            row["value"] = " ".join((row["value"] or "").split())
            row["value_blind"] = self.env["health.blind"]._digest(SCOPE, row["value"])
        blank = [name for name in KEY_FIELDS if name in row and not row[name]]
        if blank:
            raise HealthUserError(
                self.env._("An identifier needs an authority, a type and a number."),
                "identifier.blank",
                "rejected",
                {"fields": blank},
            )
        return row

    def _key_of(self, vals: dict) -> tuple:
        """What is unique, of ``vals`` over this record (if any)."""
        rec = self.sudo()
        return (
            vals.get("company_id", rec.company_id.id),
            vals.get("value_blind", rec.value_blind),
            vals.get("system", rec.system),
            vals.get("type", rec.type),
        )

    def _refuse_in_use(self, keys: list[tuple]) -> None:
        """Raise when two of ``keys`` are equal or a record outside ``self`` has one.

        The database constraint decides in a race. This check comes first because a
        failing INSERT is logged by Odoo with its values: the number in the clear.
        """
        taken = self.sudo().with_context(active_test=False)
        domain = (
            Domain("company_id", "in", [key[0] for key in keys])
            & Domain("value_blind", "in", [key[1] for key in keys])
            & Domain("id", "not in", self.ids)
        )
        columns = ["company_id", "value_blind", "system", "type"]
        found = taken.search_fetch(domain, columns, order="id")
        known = {rec._key_of({}) for rec in found}
        if len(set(keys)) == len(keys) and known.isdisjoint(keys):
            return
        raise HealthUserError(
            self.env._(
                "This number of this authority and type is in use already, maybe "
                "archived or by a person of a clinic you do not see. Open that "
                "person instead, or correct the number."
            ),
            "identifier.in_use",
            "conflict",
        )

    @api.model
    def _has_field_access(self, field, operation):
        # Nobody reads the hash. Writing it passes, as :meth:`_normalised` replaces
        # whatever is given; otherwise no user could save an identifier.
        if field.name == "value_blind" and operation == "write":
            return True
        return super()._has_field_access(field, operation)

    # -- finding -----------------------------------------------------------------

    @api.model
    def _lookup(self, company, wanted: Iterable[Wanted]) -> dict:
        """The persons who have these identifiers in ``company``; one query.

        :param company: ``res.company`` record
        :param wanted: (authority, type, value) triples in any spelling
        :return: triple as given → ``res.partner`` record; a triple that is unknown,
            archived or blank is absent
        :raises HealthUserError: no usable key ring (``keyring.*``)

        Record rules are not applied: this answers a connector, not a person. The
        partners are in the caller's environment, so rules apply to reading them.
        """
        digest = self.env["health.blind"]._index().digest
        asked: dict[tuple, list[Wanted]] = {}
        for triple in wanted:
            system, kind, value = triple
            if not (system and kind and value and normalise(value)):
                continue
            key = digest(SCOPE, value), normalise_system(system), normalise_type(kind)
            asked.setdefault(key, []).append(triple)
        domain = Domain("company_id", "=", company.id) & Domain(
            "value_blind", "in", [key[0] for key in asked]
        )
        rows = self.sudo().search_fetch(
            domain, ["partner_id", "system", "type", "value_blind"], order="id"
        )
        holders = {(r.value_blind, r.system, r.type): r.partner_id.id for r in rows}
        partners = self.env["res.partner"].browse(set(holders.values()))
        by_id = {partner.id: partner for partner in partners}  # one prefetch set
        return {
            triple: by_id[holders[key]]
            for key, triples in asked.items()
            if key in holders
            for triple in triples
        }

    @api.model
    def _holders(self, companies, values: Iterable[str]) -> list[int]:
        """Ids of the persons who have one of these numbers; one query.

        Of any authority and type, in ``companies``; archived numbers do not count.
        Record rules are not applied: combine with a search that does.
        """
        digest = self.env["health.blind"]._index().digest
        domain = Domain("company_id", "in", companies.ids) & Domain(
            "value_blind", "in", [digest(SCOPE, value) for value in values]
        )
        found = self.sudo().search_fetch(domain, ["partner_id"], order="id")
        return found.partner_id.ids

    # -- keys --------------------------------------------------------------------

    @api.model
    def _rebuild_blind_index(self, batch: int = 1000) -> int:
        """Hash every number again: after the index key of the ring was replaced.

        Until then nothing is found under the new key. Does not commit; may be
        repeated.

        :return: how many identifiers there are
        """
        digest = self.env["health.blind"]._index().digest
        self.flush_model(["value"])
        total = last_id = 0
        while rows := self._next_values(last_id, batch):
            self._store_blinds([(rec_id, digest(SCOPE, v)) for rec_id, v in rows])
            last_id = rows[-1][0]
            total += len(rows)
        self.invalidate_model(["value_blind"])
        return total

    def _next_values(self, last_id: int, batch: int) -> list[tuple[int, str]]:
        return self.env.execute_query(
            SQL(
                "SELECT id, value FROM health_identifier WHERE id > %s"
                " ORDER BY id LIMIT %s",
                last_id,
                batch,
            )
        )

    def _store_blinds(self, blinds: list[tuple[int, str]]) -> None:
        self.env.cr.execute(
            SQL(
                "UPDATE health_identifier AS i SET value_blind = new.blind"
                " FROM (VALUES %s) AS new (id, blind) WHERE i.id = new.id",
                SQL(", ").join(SQL("(%s, %s)", *pair) for pair in blinds),
            )
        )
