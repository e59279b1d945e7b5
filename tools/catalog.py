"""`make catalog PROJECT=…`: writes the catalog of a new project from seed/catalog.json.

An option that exists is never changed. Exit codes: 0, or 2 if the catalog could not be written.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from google.api_core.exceptions import AlreadyExists, GoogleAPIError
from google.auth.exceptions import GoogleAuthError
from google.cloud import firestore

from tools.emulators.project import ROOT

CATALOG = ROOT / "seed" / "catalog.json"


def options(path: Path = CATALOG) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the path and the fields of each option of the file."""
    for collection, listed in json.loads(path.read_text("utf-8")).items():
        for order, option in enumerate(listed):
            fields = {name: value for name, value in option.items() if name != "id"}
            yield f"{collection}/{option['id']}", {"schemaVersion": 1, "enabled": True, "order": order, **fields}


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print("Name the project: make catalog PROJECT=YOUR-PROJECT", file=sys.stderr)
        return 2
    try:
        client = firestore.Client(project=arguments[0])
        for path, fields in options():
            print(f"{path}: {_written(client, path, fields)}")
    except (GoogleAPIError, GoogleAuthError) as error:
        print(f"The catalog could not be written: {error}", file=sys.stderr)
        return 2
    return 0


def _written(client: firestore.Client, path: str, fields: dict[str, Any]) -> str:
    """Create an option unless it exists. Return the outcome."""
    document = client.document(path)
    try:
        document.create(fields)
    except AlreadyExists:
        stored = document.get().to_dict() or {}
        differing = sorted(name for name in {*stored, *fields} if stored.get(name) != fields.get(name))
        return f"kept as it is; the file has other values of {', '.join(differing)}" if differing else "exists"
    return "created"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
