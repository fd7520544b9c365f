"""What all codecs can do for HL7 v2: dates as HL7 writes them."""

from datetime import datetime

from odoo import api, models


class HealthCodec(models.AbstractModel):
    _inherit = "health.codec"

    @api.model
    def _converters(self):
        """``hl7_date`` and ``hl7_datetime``: the way out of ``date``, ``datetime``."""
        return {
            **super()._converters(),
            "hl7_date": _hl7_date,
            "hl7_datetime": _hl7_datetime,
        }


def _hl7_date(value, context):
    return f"{datetime.fromisoformat(str(value)[:10]):%Y%m%d}"


def _hl7_datetime(value, context):
    """Documents hold times in UTC, which is said."""
    text = str(value).removesuffix("Z")
    return f"{datetime.fromisoformat(text):%Y%m%d%H%M%S}+0000"
