"""``odoo health_mllp``: the MLLP listener, a small process of its own."""

import os
import ssl
import sys
import types

from odoo.cli import Command
from odoo.modules.module import get_module_path
from odoo.sql_db import connection_info_for
from odoo.tools import config


def bare_package(addon):
    """Make the modules of an addon importable without its models.

    Importing ``odoo.addons.<addon>`` runs its ``__init__``, which loads the ORM and
    every model: memory and start-up time that this process has no use for.
    """
    name = f"odoo.addons.{addon}"
    if name not in sys.modules:
        package = types.ModuleType(name)
        package.__path__ = [get_module_path(addon)]
        sys.modules[name] = package


class HealthMllp(Command):
    """Listens for HL7 v2 messages (MLLP) and stores them before it acknowledges.

    Serves the live inbound MLLP interfaces of one database. Settings are read again
    every few seconds; SIGTERM answers what is in work and stops.
    """

    name = "health_mllp"

    def run(self, cmdargs):
        arguments = self._arguments(cmdargs)
        odoo_options = ["--no-http", "-d", arguments.database]
        if arguments.config:
            odoo_options += ["-c", arguments.config]
        config.parse_config(odoo_options, setup_logging=True)
        for addon in ("health_connector", "health_connector_hl7"):
            bare_package(addon)
        # only now: these imports need the addons path and the bare packages
        from odoo.addons.health_connector.lib.keyring import KeyringError

        # (and this file is loaded as odoo.cli.health_mllp: nothing relative works)
        # pylint: disable-next=odoo-addons-relative-import
        from odoo.addons.health_connector_hl7 import listener

        try:
            sys.exit(listener.run(self._options(arguments, listener)))
        except KeyringError as error:
            sys.exit(f"nothing can be accepted: {error}")

    def _arguments(self, cmdargs):
        parser = self.parser
        parser.add_argument("-c", "--config", help="Odoo's configuration file")
        parser.add_argument("-d", "--database", required=True)
        parser.add_argument("--host", default="127.0.0.1", help="address to bind")
        parser.add_argument(
            "--port",
            type=int,
            default=os.environ.get("HEALTH_MLLP_PORT"),
            help="serve interfaces of the standard port 2575 on this one",
        )
        parser.add_argument("--max-connections", type=int, default=500)
        parser.add_argument("--idle", type=float, default=3600, help="seconds")
        parser.add_argument("--tls-certificate", help="PEM chain: MLLP over TLS")
        parser.add_argument("--tls-key", help="PEM key of the certificate")
        parser.add_argument(
            "--tls-client-ca", help="PEM: only peers with a certificate of these"
        )
        return parser.parse_args(cmdargs)

    def _options(self, arguments, listener):
        from odoo.addons.health_connector.lib.settings import keyring_path

        _name, connect = connection_info_for(arguments.database)
        port = arguments.port
        return listener.Options(
            connect={**connect, "application_name": "health-mllp"},
            keyring=keyring_path(arguments.config or config["config"]),
            host=arguments.host,
            ports={listener.STANDARD_PORT: int(port)} if port else {},
            limits=listener.Limits(
                connections=arguments.max_connections, idle=arguments.idle
            ),
            ssl=self._ssl(arguments),
        )

    @staticmethod
    def _ssl(arguments):
        if not arguments.tls_certificate:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(arguments.tls_certificate, arguments.tls_key)
        if arguments.tls_client_ca:
            context.load_verify_locations(arguments.tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
