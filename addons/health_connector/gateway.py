"""What this addon brings into the gateway process, which loads no models.

The gateway looks for a module of this name in every installed addon. It may have
``PEEKS``, ``READERS``, ``add_arguments(parser)`` and ``make_part(arguments, ssl)``.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from ssl import SSLContext
from typing import TYPE_CHECKING

from .lib import peek

if TYPE_CHECKING:
    from .lib.http_server import HttpPart

#: codecs by name
PEEKS = {"json": peek.peek_json, "csv": peek.peek_csv}
#: of codecs in which single fields can be read at the door, for routes
READERS = {"json": peek.reader_json}


def add_arguments(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("HTTP")
    group.add_argument(
        "--http-port",
        type=int,
        default=os.environ.get("HEALTH_GATEWAY_PORT") or None,
        help="take messages by HTTP on this port; none without it",
    )
    group.add_argument("--http-connections", type=int, default=1000)
    group.add_argument("--http-requests", type=int, default=500, help="in work at once")


def make_part(arguments: Namespace, ssl: SSLContext | None) -> HttpPart | None:
    """:param arguments: ``peeks`` and ``readers`` hold those of all addons"""
    if not arguments.http_port:
        return None
    try:
        from .lib.http_server import HttpPart, Limits
    except ImportError:
        sys.exit("HTTP in the gateway needs aiohttp: install the version that "
                 "requirements.txt names, or leave out --http-port")  # fmt: skip
    limits = Limits(
        connections=arguments.http_connections, requests=arguments.http_requests
    )
    port = int(arguments.http_port)
    codecs = arguments.peeks, arguments.readers
    return HttpPart(*codecs, port, arguments.host, ssl, limits)
