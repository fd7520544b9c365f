"""What the manifests in addons/ say, for the scripts beside this file.

modules.py ours              the project's addons, comma-separated
modules.py foreign A,B…      what these addons need that is not ours
modules.py fingerprint       a short hash of the sources of all our addons
"""

import ast
import hashlib
import sys
from pathlib import Path

ADDONS = Path(__file__).resolve().parent.parent / "addons"


def ours() -> list[str]:
    return sorted(path.parent.name for path in ADDONS.glob("*/__manifest__.py"))


def depends(addon: str) -> list[str]:
    manifest = (ADDONS / addon / "__manifest__.py").read_text(encoding="utf-8")
    return ast.literal_eval(manifest).get("depends", ["base"])


def foreign(addons: list[str]) -> list[str]:
    """The nearest dependencies outside addons/, transitively through our own."""
    own, todo, found = set(ours()), list(addons), {"base", "web"}
    seen: set[str] = set()
    while todo:
        addon = todo.pop()
        if addon in seen:
            continue
        seen.add(addon)
        if addon in own:
            todo += depends(addon)
        else:
            found.add(addon)
    return sorted(found)


NO_DATABASE = {"__pycache__", "tests", "readme"}  # leave a database as it is


def fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sorted(ADDONS.rglob("*")):
        name = path.relative_to(ADDONS)
        if path.is_file() and not NO_DATABASE.intersection(name.parts):
            digest.update(str(name).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def main(command: str, names: str = "") -> None:
    if command == "fingerprint":
        print(fingerprint())
    else:
        wanted = [name for name in names.split(",") if name]
        print(",".join(ours() if command == "ours" else foreign(wanted)))


if __name__ == "__main__":
    main(*sys.argv[1:])
