"""One live HL7 v2 interface over MLLP."""

from odoo.addons.health_connector.tests.common import ConnectorMixin

BODY = (
    "PID|1||MRN1^^^HOSP^MR||DOE^JANE||19800229\r"
    "ORC|RE|ORD-1\r"
    "OBR|1|ORD-1||58410-2^CBC^LN|||20260309070000\r"
    "OBX|1|NM|718-7^Hemoglobin^LN||13.2|g/dL|||||F\r"
)


def message(control_id="C1", kind="ORU^R01^ORU_R01", body=BODY, **header):
    """An HL7 message as bytes; ``header`` may name processing, version, charset."""
    processing = header.get("processing", "P")
    version = header.get("version", "2.5.1")
    tail = f"||||||{header['charset']}" if header.get("charset") else ""
    return (
        f"MSH|^~\\&|LAB|MAIN|ODOO|HOSP|20260309||{kind}|{control_id}"
        f"|{processing}|{version}{tail}\r{body}"
    ).encode()


class Hl7Mixin(ConnectorMixin):
    @classmethod
    def set_up_hl7(cls, **values):
        cls.set_up_connector()
        cls.hl7 = cls.env["health.interface"].create(
            {
                "name": "Results by MLLP",
                "code": "demo-oru",
                "backend_id": cls.backend.id,
                "transport": "mllp",
                "codec": "hl7v2",
                "handler": "core.keep",
                "state": "live",
                "message_types": "ORU^R01",
                "order_key_source": "ORC-2-1|OBR-2-1",
                "mllp_port": 20575,
                **values,
            }
        )
