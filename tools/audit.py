"""`make audit`: checks every invariant of the credits, in the running emulators or in a deployed project.

Where payments are on, it also compares the purchases with Stripe's record. For a deployed project, that needs a key of
your Stripe account in the environment variable STRIPE_SECRET_KEY. It stores what it covered and found in
``audits/latest``, which the function getAudit returns.

Exit codes: 0 if every invariant holds, 1 if there are findings, 2 if the audit could not run to the end.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence

from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError
from rich.console import Console

from imagegen import settings
from imagegen.bootstrap import Backend, on_firestore
from imagegen.documents.audits import LATEST
from imagegen.domain.audit import FINDINGS_KEPT, Coverage, Finding
from imagegen.ports.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown
from imagegen.ports.payments import PaymentsDown, PaymentsRefused
from imagegen.services.purchases.audit import PaymentAudit
from tools.emulators.client import client_with_parameters
from tools.emulators.project import Problem


def main(arguments: Sequence[str], console: Console) -> int:
    """Audit a deployed project, with your Google credentials, or else the running emulators."""
    options = _options(arguments)
    coverage, kept, count = Coverage(), list[Finding](), 0
    try:
        backend = on_firestore(client_with_parameters(options.project, options.database))
        began = backend.clock.now()
        with console.status("Auditing"):
            for finding in _findings(backend, coverage):
                count += 1
                if len(kept) < FINDINGS_KEPT:
                    kept.append(finding)
                print_finding(finding, console)
    except (Problem, DatabaseUnavailable, GoogleAuthError) as problem:
        console.print(str(problem), style="red", markup=False, soft_wrap=True)
        return 2
    except (PaymentsDown, PaymentsRefused) as problem:
        reason = f"Not compared with Stripe, which did not answer ({problem})."
        console.print(reason, style="red", markup=False, soft_wrap=True)
        return 2
    try:
        backend.daily_audit.store(began, coverage, kept, count)
    except (CommitRefused, OutcomeUnknown, DatabaseUnavailable, GoogleAPICallError) as problem:
        reason = f"The result could not be stored in {LATEST}: {type(problem).__name__}"
        console.print(reason, style="yellow", soft_wrap=True)
    if count:
        console.print(f"\nFindings: {count}. To repair them, see docs/runbook.md.", markup=False, soft_wrap=True)
        return 1
    console.print("Every invariant holds.", style="green")
    return 0


def print_finding(finding: Finding, console: Console) -> None:
    """Print a finding and its documents, each on one line, so that you can copy the paths and search for them."""
    console.print(f"{finding.invariant.name}: {finding.message}", style="red", markup=False, soft_wrap=True)
    for document in finding.documents:
        console.print(f"    {document}", markup=False, highlight=False, soft_wrap=True)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="audit", description="Check every credit. See docs/operating.md.")
    parser.add_argument("project", nargs="?", help="a deployed project; else the running emulators")
    parser.add_argument("--database", help="another database of the project, such as a restored backup")
    options = parser.parse_args(arguments)
    if options.database and not options.project:
        parser.error("DATABASE needs PROJECT: make audit PROJECT=YOUR-PROJECT DATABASE=drill")
    return options


def _findings(backend: Backend, coverage: Coverage) -> Iterator[Finding]:
    """Yield the violations in the database, and then the differences to Stripe's record, if payments are on."""
    yield from backend.audit.findings(coverage)
    if backend.payments is None:
        return
    if not settings.STRIPE_SECRET_KEY.value:
        raise Problem("Not compared with Stripe. Put a key of your account into the variable STRIPE_SECRET_KEY.")
    yield from PaymentAudit(backend.database, backend.payments, backend.clock).findings()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Console()))
