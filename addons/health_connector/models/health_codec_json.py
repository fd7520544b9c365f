"""The JSON codec: any JSON body, sources written in JMESPath."""

import json

import jmespath

from odoo import api, models

from ..lib import json_body
from ..lib.convert import CONVERTERS
from ..lib.peek import peek_json, reader_json


class HealthCodec(models.AbstractModel):
    """Base of all codecs: bytes to a plain tree and back, no business.

    Codecs set ``_codec`` and delegate to pure functions in their addon's ``lib``.
    """

    _name = "health.codec"
    _description = "Codec"

    #: how what this codec writes is labelled on the wire
    _content_type = "application/octet-stream"
    _sent_charset = "utf-8"

    @api.model
    def _peek(self, interface, raw, headers):
        """Read just what accepting needs, by a function that needs no registry: the
        gateway calls the same (see the addon's ``gateway.py``).

        :param interface: mapping with at least ``order_key_source``,
            ``dedupe_source``, ``urgent_source``, ``charset`` and ``message_types``
        :param raw: the body as it came
        :param headers: mapping of lower-case header names (empty off HTTP)
        :return: dict with any of message_type, external_ref, dedupe_key, order_key,
            charset, urgent; missing ones are empty
        :raises HealthError: the body cannot be what this interface takes
        """
        raise NotImplementedError

    @api.model
    def _reader(self, interface, raw):
        """A function that reads single fields of a body that ``_peek`` let pass, by
        a source in the notation of the keys, for routes; empty where nothing is."""
        return lambda source: ""

    @api.model
    def _decode(self, raw, charset):
        """The plain tree of the bytes. Raises a typed error of class contract."""
        raise NotImplementedError

    @api.model
    def _text_charset(self, raw, charset):
        """The Python codec that turns the bytes into the text a person may edit."""
        return charset or "utf-8"

    @api.model
    def _encode(self, tree):
        """The bytes of a tree."""
        raise NotImplementedError

    @api.model
    def _encode_document(self, document, interface, work):
        """The bytes of a canonical document for a partner.

        :param work: the outbound message (``uid``, ``message_type``); for formats whose
            header names the message
        """
        return self._encode(document)

    @api.model
    def _check_outbound(self, interface):
        """Refuse an outbound interface that cannot be written in this format.

        :raises ValidationError: with a text that says what to do
        """

    @api.model
    def _compile(self, expression):
        """A function from a tree node to what ``expression`` finds in it."""
        raise NotImplementedError

    @api.model
    def _converters(self):
        """Named converters for map lines: the common ones and the format's own."""
        return dict(CONVERTERS)


class HealthCodecJson(models.AbstractModel):
    _name = "health.codec.json"
    _inherit = "health.codec"
    _description = "JSON"
    _codec = "json"
    _content_type = "application/json"

    @api.model
    def _peek(self, interface, raw, headers):
        return peek_json(interface, raw, headers)

    @api.model
    def _reader(self, interface, raw):
        return reader_json(interface, raw)

    @api.model
    def _decode(self, raw, charset):
        return json_body.parse(raw, charset)

    @api.model
    def _encode(self, tree):
        return json.dumps(tree, ensure_ascii=False, sort_keys=True).encode()

    @api.model
    def _compile(self, expression):
        return jmespath.compile(expression).search
