"""`make restore-drill`: rehearses a restore on the emulator.

It exports the running Firestore emulator, imports the export into a fresh emulator, audits the copy, and checks that
the copy has every ledger entry up to the head that each user had before. Exit codes as in `make audit`.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import requests
from google.cloud import firestore
from rich.console import Console

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.documents.accounts import USERS, ledger_path
from imagegen.domain.audit import Finding
from imagegen.ports.clock import SystemClock
from imagegen.ports.database import DatabaseUnavailable
from imagegen.services.credits.audit import Audit
from tools.audit import print_finding
from tools.emulators.client import operator_client
from tools.emulators.firestore_emulator import FirestoreEmulator
from tools.emulators.project import Problem, Project

EXPORT = "firestore_export"


class Head(NamedTuple):
    """The end of a user's chain: the number of entries, and the hash of the last one, which covers all before it."""

    seq: int
    hash: str


def main(arguments: Sequence[str], console: Console) -> int:
    """Rehearse a restore of the running emulators."""
    del arguments
    try:
        project = Project.load(Path.cwd())
        source = operator_client(project)
        with console.status("Exporting, importing and auditing"):
            heads, findings, lost = rehearse(source, str(project.ports()["firestore"]))
    except (Problem, DatabaseUnavailable, RuntimeError, requests.RequestException) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 2
    for finding in findings:
        print_finding(finding, console)
    for problem in lost:
        console.print(problem, style="red", markup=False, soft_wrap=True)
    if count := len(findings) + len(lost):
        console.print(f"\nProblems: {count}. The copy is not what was exported, or the export had findings.")
        return 1
    console.print(f"The copy has the chains of all {heads} users, and every invariant holds in it.", style="green")
    return 0


def rehearse(source: firestore.Client, host: str) -> tuple[int, list[Finding], list[str]]:
    """Restore an export of ``source``, the emulator at ``host``.

    Return the number of chains, the findings of the audit of the copy, and the chains that the copy does not have.

    The source may be in use: what is written after the heads were read may be in the copy, and need not.
    """
    before = dict(heads_of(source))
    with tempfile.TemporaryDirectory() as directory:
        export(source.project, host, Path(directory))
        with FirestoreEmulator(Path(directory)) as fresh:
            copy = _client_of(fresh.host, source.project)
            audit = Audit(FirestoreDatabase(copy), SystemClock())
            findings = list(audit.findings())
            lost = list(differences(before, copy))
            copy.close()  # type: ignore[no-untyped-call]
    return len(before), findings, lost


def _client_of(host: str, project_id: str) -> firestore.Client:
    """Return a client of the emulator at ``host``. A client reads the variable when it is made."""
    before = os.environ.get("FIRESTORE_EMULATOR_HOST")
    os.environ["FIRESTORE_EMULATOR_HOST"] = host
    try:
        return firestore.Client(project=project_id)
    finally:
        if before is None:
            del os.environ["FIRESTORE_EMULATOR_HOST"]
        else:
            os.environ["FIRESTORE_EMULATOR_HOST"] = before


def heads_of(client: firestore.Client) -> Iterator[tuple[str, Head]]:
    """Yield the end of each user's chain."""
    for user in client.collection(USERS).select(["ledger"]).stream():
        ledger = (user.to_dict() or {}).get("ledger") or {}
        yield user.id, Head(ledger.get("seq", 0), ledger.get("head", ""))


def differences(before: dict[str, Head], copy: firestore.Client) -> Iterator[str]:
    """Yield each chain that the copy does not have up to the head that it had before."""
    restored = dict(heads_of(copy))
    for user_id, head in before.items():
        if user_id not in restored:
            yield f"The copy has no user {user_id}."
        elif restored[user_id] != head and head.seq > 0:
            at_head = copy.collection(ledger_path(user_id)).where(filter=firestore.FieldFilter("seq", "==", head.seq))
            if [(entry.to_dict() or {}).get("hash") for entry in at_head.stream()] != [head.hash]:
                yield f"The copy of {user_id} has another entry {head.seq}, or none."


def export(project_id: str, host: str, directory: Path) -> None:
    """Write the database as `firebase emulators:export` does."""
    request = {
        "database": f"projects/{project_id}/databases/(default)",
        "export_directory": str(directory),
        "export_name": EXPORT,
    }
    url = f"http://{host}/emulator/v1/projects/{project_id}:export"
    requests.post(url, json=request, timeout=120).raise_for_status()
    metadata = {"firestore": {"metadata_file": f"{EXPORT}/{EXPORT}.overall_export_metadata"}}
    (directory / "firebase-export-metadata.json").write_text(json.dumps(metadata), "utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Console()))
