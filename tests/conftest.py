"""Make every addon importable without Odoo.

``from health_connector_hl7.lib import er7`` must work in a plain Python: each addon
folder is registered as a namespace package, so its ``__init__`` (which imports Odoo
models) is not executed. When Odoo itself is running the tests, nothing is done.
"""

import sys
import types
from pathlib import Path

ADDONS = Path(__file__).resolve().parent.parent / "addons"


def _register_addons() -> None:
    for folder in sorted(ADDONS.iterdir()):
        if folder.is_dir() and folder.name.isidentifier():
            if folder.name not in sys.modules:
                package = types.ModuleType(folder.name)
                package.__path__ = [str(folder)]
                sys.modules[folder.name] = package


if "odoo" not in sys.modules:
    _register_addons()
