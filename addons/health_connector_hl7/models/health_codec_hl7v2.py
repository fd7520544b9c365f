"""The HL7 v2 codec: ER7 messages, sources in the notation of HL7 people."""

from odoo import api, models
from odoo.exceptions import ValidationError

from odoo.addons.health_connector.lib.convert import utc
from odoo.addons.health_connector.lib.errors import HealthError
from odoo.addons.health_connector.lib.transport import CONTROL_ID_LENGTH

from ..lib import compose, er7, query
from ..lib.datetime_hl7 import parse_timestamp
from ..lib.door import Refusal
from ..lib.errors import Er7Error
from ..lib.peek import peek_hl7v2, reader_hl7v2


class HealthCodecHl7v2(models.AbstractModel):
    """Tree: a :class:`~..lib.er7.Message`. Sources: see :mod:`~..lib.query`."""

    _name = "health.codec.hl7v2"
    _inherit = "health.codec"
    _description = "HL7 v2"
    _codec = "hl7v2"
    _content_type = "application/hl7-v2"
    _sent_charset = ""

    @api.model
    def _peek(self, interface, raw, headers):
        """The same door as that of the listener."""
        try:
            return peek_hl7v2(_settings(interface), raw, headers)
        except Er7Error as error:
            raise _as_health_error(error) from None
        except Refusal as refusal:
            raise HealthError(refusal.code, "rejected", refusal.params) from None

    @api.model
    def _reader(self, interface, raw):
        return reader_hl7v2(interface, raw)

    @api.model
    def _decode(self, raw, charset):
        try:
            return er7.parse(raw, charset)
        except Er7Error as error:
            raise _as_health_error(error) from None

    @api.model
    def _text_charset(self, raw, charset):
        return self._decode(raw, charset).codec

    @api.model
    def _encode(self, tree):
        return tree.render()

    @api.model
    def _encode_document(self, document, interface, work):
        """A message of a document whose keys are places, see :mod:`~..lib.compose`.
        Its MSH-10 is the beginning of the message's key, the same on every try."""
        heading = compose.Heading(
            message_type=work.message_type or "",
            control_id=work.uid[:CONTROL_ID_LENGTH],
            created=work.accepted_at,
            production=interface.backend_id.environment == "production",
            charset=interface.charset or "",
        )
        try:
            return compose.compose(document, heading)
        except Er7Error as error:
            raise _as_health_error(error) from None

    @api.model
    def _check_outbound(self, interface):
        if not (interface.message_type or "").strip():
            raise ValidationError(
                self.env._(
                    "Enter the sent type of interface %s, for example ORM^O01^ORM_O01.",
                    interface.code,
                )
            )
        for line in interface.mapping_id.line_ids:
            try:
                if not line.target.endswith("[]"):
                    compose.check_place(line.target.rpartition(".")[2])
            except Er7Error as error:
                raise ValidationError(
                    self.env._(
                        "Map line %s is no place in an HL7 message: write segment, "
                        "field and component, for example pid_5_1. The header's time, "
                        "type and control id are filled in by themselves.",
                        line.target,
                    )
                ) from error

    @api.model
    def _compile(self, expression):
        """The HL7 null counts as absent: canonical documents know no deletion yet."""
        find = query.compile(expression)
        return lambda node: _without_null(find(node))

    @api.model
    def _converters(self):
        """``date`` and ``datetime`` read HL7's own notation."""
        return {**super()._converters(), "date": _date, "datetime": _datetime}


def _settings(interface):
    """An interface as a row of its columns, be it a record."""
    if not isinstance(interface, models.BaseModel):
        return interface
    names = ("order_key_source", "dedupe_source", "urgent_source", "charset")
    names += ("max_size",)
    row = {name: interface[name] for name in names}
    return {**row, "environment": interface.backend_id.environment}


def _without_null(found):
    if found is query.NULL:
        return None
    if isinstance(found, list):
        return [None if each is query.NULL else each for each in found]
    return found


def _date(value, context):
    """An ISO date. A month or a year alone is no date."""
    stamp = parse_timestamp(str(value), context.timezone)
    if stamp.precision in ("year", "month"):
        raise ValueError("not a whole date")
    day = stamp.original.strip()  # as the sender's clock had it, not in UTC
    return f"{day[:4]}-{day[4:6]}-{day[6:8]}"


def _datetime(value, context):
    """An ISO time in UTC; a day alone is its beginning in the partner's zone."""
    text = str(value).strip()
    if len(text) == 8:
        text += "0000"
    stamp = parse_timestamp(text, context.timezone)
    if stamp.precision in ("year", "month", "day"):
        raise ValueError("not a point in time")
    return utc(stamp.value, context)


def _as_health_error(error):
    return HealthError(error.code, error.error_class, error.params)
