"""``odoo health_gateway``: takes messages in, a small process of its own."""

import argparse
import importlib
import logging
import os
import ssl
import sys
import time
import types
from pathlib import Path

import psycopg2

from odoo.cli import Command
from odoo.modules.module import get_module_path, get_modules
from odoo.sql_db import connection_info_for
from odoo.tools import config

_logger = logging.getLogger(__name__)

#: addons bring codecs and doors by a module of this name
PART_FILE = "gateway.py"

_INSTALLED = """
SELECT name FROM ir_module_module
 WHERE state IN ('installed', 'to upgrade') ORDER BY name
"""


class HealthGateway(Command):
    """Takes messages in by HTTP and, with the addon for it, HL7 v2 by MLLP.

    Stores them before it answers. Serves the live inbound interfaces of one database;
    settings are read again every few seconds. SIGTERM answers what is in work and
    stops. Several may run on one database.
    """

    name = "health_gateway"

    def run(self, cmdargs):
        first = argparse.ArgumentParser(add_help=False)
        first.add_argument("-c", "--config")
        first.add_argument("-d", "--database")
        known, _rest = first.parse_known_args(cmdargs)
        self._configure(known)
        wants_help = not known.database or {"-h", "--help"} & set(cmdargs)
        names = get_modules() if wants_help else installed(known.database)
        modules = list(part_modules(names))
        arguments = self._arguments(cmdargs, modules)
        # only now: these imports need the addons path and the bare packages; absolute
        # ones, because this file is loaded as odoo.cli.health_gateway
        # pylint: disable=odoo-addons-relative-import
        from odoo.addons.health_connector.lib import gateway
        from odoo.addons.health_connector.lib.keyring import KeyringError

        try:
            parts = self._parts(arguments, modules)
            sys.exit(gateway.run(self._options(arguments, gateway), parts))
        except KeyringError as error:
            sys.exit(f"nothing can be accepted: {error}")

    @staticmethod
    def _configure(known):
        odoo_options = ["--no-http"]
        if known.database:
            odoo_options += ["-d", known.database]
        if known.config:
            odoo_options += ["-c", known.config]
        config.parse_config(odoo_options, setup_logging=True)

    def _arguments(self, cmdargs, modules):
        parser = self.parser
        parser.add_argument("-c", "--config", help="Odoo's configuration file")
        parser.add_argument("-d", "--database", required=True)
        parser.add_argument("--host", default="127.0.0.1", help="address to bind")
        parser.add_argument("--refresh", type=float, default=3.0, help="seconds after "
                            "which settings are read again")  # fmt: skip
        parser.add_argument("--tls-certificate", help="PEM chain: TLS on all ports")
        parser.add_argument("--tls-key", help="PEM key of the certificate")
        parser.add_argument(
            "--tls-client-ca", help="PEM: only peers with a certificate of these"
        )
        for module in modules:
            if hasattr(module, "add_arguments"):
                module.add_arguments(parser)
        return parser.parse_args(cmdargs)

    def _parts(self, arguments, modules):
        """The doors of all addons."""
        arguments.peeks, arguments.readers = {}, {}
        for module in modules:
            arguments.peeks |= getattr(module, "PEEKS", {})
            arguments.readers |= getattr(module, "READERS", {})
        makers = [module for module in modules if hasattr(module, "make_part")]
        context = self._ssl(arguments)
        parts = [module.make_part(arguments, context) for module in makers]
        return [part for part in parts if part is not None]

    @staticmethod
    def _options(arguments, gateway):
        # pylint: disable-next=odoo-addons-relative-import
        from odoo.addons.health_connector.lib.settings import keyring_path

        _name, connect = connection_info_for(arguments.database)
        return gateway.Options(
            connect={**connect, "application_name": "health-gateway"},
            keyring=keyring_path(arguments.config or config["config"]),
            refresh=arguments.refresh,
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


def installed(database):
    """Names of the database's addons; waits for a database that is not there yet."""
    _name, arguments = connection_info_for(database)
    waited = False
    while True:
        try:
            connection = psycopg2.connect(connect_timeout=5, **arguments)
            break
        except psycopg2.OperationalError as error:
            if not waited:
                _logger.warning("waiting for the database: %s", type(error).__name__)
            waited = True
            time.sleep(1)
    try:
        with connection.cursor() as cr:
            cr.execute(_INSTALLED)
            return [row[0] for row in cr.fetchall()]
    finally:
        connection.close()


def part_modules(names):
    """The gateway modules of those of the addons that have one."""
    for name in names:
        folder = get_module_path(name, display_warning=False)
        if folder and Path(folder, PART_FILE).exists():
            _bare_package(name, folder)
            yield importlib.import_module(f"odoo.addons.{name}.gateway")


def _bare_package(addon, folder):
    """Make the modules of an addon importable without its models.

    Importing ``odoo.addons.<addon>`` runs its ``__init__``, which loads the ORM and
    every model: memory and start-up time that this process has no use for.
    """
    name = f"odoo.addons.{addon}"
    if name not in sys.modules:
        package = types.ModuleType(name)
        package.__path__ = [os.fspath(folder)]
        sys.modules[name] = package
