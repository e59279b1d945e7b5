"""`make audit`: checks every invariant of the credits, in the running emulators or in a deployed project.

Stores what it covered and found in ``audits/latest``, which the function getAudit returns.

Exit codes: 0 if every invariant holds, 1 if there are findings, 2 if the audit could not run.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from google.cloud import firestore
from rich.console import Console

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.documents.audits import LATEST
from imagegen.domain.audit import FINDINGS_KEPT, Coverage, Finding
from imagegen.ports.clock import SystemClock
from imagegen.ports.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown
from imagegen.services.credits.audit import Audit
from imagegen.services.credits.daily_audit import DailyAudit
from tools.emulators.client import operator_client
from tools.emulators.project import Problem, Project


def main(arguments: Sequence[str], console: Console) -> int:
    """Audit the project named by the first argument, with your Google credentials, or else the running emulators.

    A second argument names another database of the project, such as a restored backup.
    """
    clock, coverage = SystemClock(), Coverage()
    began, kept, findings = clock.now(), list[Finding](), 0
    try:
        client = _client_of(arguments) if arguments else operator_client(Project.load(Path.cwd()))
        database = FirestoreDatabase(client)
        audit = Audit(database, clock)
        with console.status("Auditing"):
            for finding in audit.findings(coverage):
                findings += 1
                if len(kept) < FINDINGS_KEPT:
                    kept.append(finding)
                console.print(f"{finding.invariant.name}: {finding.message}", style="red", markup=False)
                for document in finding.documents:
                    console.print(f"    {document}", markup=False, highlight=False)
    except (Problem, DatabaseUnavailable, GoogleAuthError) as problem:
        console.print(str(problem), style="red", markup=False)
        return 2
    try:
        DailyAudit(database, clock, audit).store(began, coverage, kept, findings)
    except (CommitRefused, OutcomeUnknown, DatabaseUnavailable, GoogleAPICallError) as problem:
        console.print(f"The result could not be stored in {LATEST}: {type(problem).__name__}", style="yellow")
    if findings:
        console.print(f"\nFindings: {findings}. To repair them, see docs/runbook.md.", markup=False)
        return 1
    console.print("Every invariant holds.", style="green")
    return 0


def _client_of(arguments: Sequence[str]) -> firestore.Client:
    project, *database = arguments
    return firestore.Client(project=project, database=database[0] if database else None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Console()))
