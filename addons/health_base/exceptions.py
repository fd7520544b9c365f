"""The typed error that a person may see."""

from odoo.exceptions import UserError


class HealthUserError(UserError):
    """A ``UserError`` that programs can tell apart without reading its text.

    :param message: translated text for a person, says what to do
    :param code: stable dotted name, e.g. ``"keyring.unreadable"``
    :param error_class: a class of the error policy (transient, throttled, auth,
        rejected, contract, mapping, conflict, bug)
    :param params: positions, counts, codes and paths

    Neither ``message`` nor ``params`` may hold content: no name, identifier or
    field value. The text of an error ends up in logs and on screens of people
    who may not see the record.
    """

    def __init__(
        self, message: str, code: str, error_class: str, params: dict | None = None
    ):
        super().__init__(message)
        self.code = code
        self.error_class = error_class
        self.params = params or {}
