"""`make repair`: repairs a finding of the audit, as described in docs/runbook.md.

repair rebuild USER
repair reconcile PURCHASE
repair correct USER --paid -3 --key INCIDENT-12 --reason "refunded twice" [--trial N] [--request ID]
"""

import argparse
import sys
from collections.abc import Sequence

from google.auth.exceptions import GoogleAuthError

from imagegen.api.fields import is_document_id
from imagegen.bootstrap import Backend, on_firestore
from imagegen.domain.ledger import Credits, TooManyDebts
from imagegen.errors import ApiError
from imagegen.ports.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown
from imagegen.ports.payments import PaymentsDown, PaymentsRefused
from tools.emulators.client import client_with_parameters
from tools.emulators.project import Problem


def main(arguments: Sequence[str]) -> int:
    """Run a repair. Return exit code 0 if it was written, or 2 if it failed; the error is printed to stderr."""
    options = _parser().parse_args(arguments)
    try:
        print(_repaired(on_firestore(client_with_parameters(options.project)), options))
    except (
        Problem,
        ApiError,
        PaymentsDown,
        PaymentsRefused,
        TooManyDebts,
        ValueError,
        CommitRefused,
        OutcomeUnknown,
        DatabaseUnavailable,
        GoogleAuthError,
    ) as problem:
        print(problem, file=sys.stderr)
        return 2
    return 0


def _repaired(backend: Backend, options: argparse.Namespace) -> str:
    if options.command == "reconcile":
        purchase = backend.reconciliation.reconcile(options.purchase)
        return (
            f"The purchase {purchase.id} is {purchase.status}. Granted: {purchase.credits_granted} credits. "
            f"To be taken back: {purchase.credits_due}."
        )
    if options.command == "rebuild":
        wallet = backend.corrections.rebuild(options.user)
        return f"The wallet of {options.user} now matches its {wallet.seq} ledger entries: {wallet.credits}."
    entry = backend.corrections.correct(
        options.user,
        Credits(trial=options.trial, paid=options.paid),
        reason=options.reason,
        key=options.key,
        request_id=options.request,
    )
    return f"{options.user} has the entry {entry.id}: {entry.amount}. The balance after it is {entry.balance_after}."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="repair", description="Repair a finding of the audit. See docs/runbook.md.")
    parser.add_argument(
        "--project", help="a deployed project, with your Google credentials; else the running emulators"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    rebuild = commands.add_parser("rebuild", help="compute a wallet from its ledger")
    rebuild.add_argument("user", type=_id)
    reconcile = commands.add_parser("reconcile", help="grant or take what is due for a purchase by Stripe's record")
    reconcile.add_argument("purchase", type=_id)
    correct = commands.add_parser("correct", help="write a correction to a ledger")
    correct.add_argument("user", type=_id)
    correct.add_argument("--trial", type=int, default=0, help="trial credits to add; a negative number removes credits")
    correct.add_argument("--paid", type=int, default=0, help="paid credits to add; a negative number removes credits")
    correct.add_argument("--request", type=_id, help="the id of the generation request that is corrected")
    correct.add_argument("--reason", required=True, help="the reason, stored in grants")
    correct.add_argument("--key", required=True, help="an idempotency key: a key is written at most once")
    return parser


def _id(value: str) -> str:
    """Return the id of a document. Raises ArgumentTypeError if it cannot be one."""
    if not is_document_id(value):
        raise argparse.ArgumentTypeError(f"{value!r} is not the id of a document")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
