"""The one typed error of the HL7 v2 library."""


class Er7Error(ValueError):
    """Input that cannot be read as HL7 v2, or a value that cannot be written.

    The text and ``params`` never hold content of the message: only positions,
    counts and names that this library knows by itself. They may be logged.

    :param code: stable dotted code, e.g. ``er7.no_msh``
    :param hl7_code: code of HL7 table 0357 for the ERR segment of the answer
    :param ack: ``AR`` (do not send it again unchanged) or ``AE`` (repair, resend)
    :param error_class: class of the error policy
    :param segment: name of the segment, only when the library asked for it by name
    :param position: number of the segment in the message, counted from 1
    :param field: number of the field, counted from 1
    """

    def __init__(
        self,
        code: str,
        *,
        hl7_code: str = "100",
        ack: str = "AE",
        error_class: str = "contract",
        segment: str = "",
        position: int = 0,
        field: int = 0,
        **params: object,
    ) -> None:
        self.code = code
        self.hl7_code = hl7_code
        self.ack = ack
        self.error_class = error_class
        self.segment = segment
        self.position = position
        self.field = field
        place = {"segment": segment, "position": position, "field": field}
        self.params = {key: value for key, value in place.items() if value}
        self.params.update(params)
        super().__init__(self._text())

    def _text(self) -> str:
        details = ", ".join(f"{key} {value}" for key, value in self.params.items())
        return f"{self.code} ({details})" if details else self.code

    @property
    def location(self) -> str:
        """The place as ERR-2 writes it: ``segment^sequence^field``, or blank when
        the name of the segment is not known for certain."""
        if not self.segment:
            return ""
        parts = (self.segment, self.position or "", self.field or "")
        return "^".join(str(part) for part in parts).rstrip("^")
