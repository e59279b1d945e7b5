"""`make repair`: what docs/runbook.md tells an operator to do after an audit.

repair rebuild USER
repair correct USER --paid -3 --key INCIDENT-12 --reason "refunded twice" [--trial N] [--request ID]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from google.auth.exceptions import GoogleAuthError
from google.cloud import firestore

from imagegen.bootstrap import Backend, on_firestore
from imagegen.domain.ledger import Credits
from imagegen.errors import UserNotFound
from imagegen.ports.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown
from tools.emulators.client import operator_client
from tools.emulators.project import Problem, Project


def main(arguments: Sequence[str]) -> int:
    """Exit code 0: done; 2: refused, and nothing was changed."""
    options = _parser().parse_args(arguments)
    try:
        if options.project:
            client = firestore.Client(project=options.project)
        else:
            client = operator_client(Project.load(Path.cwd()))
        print(_repaired(on_firestore(client), options))
    except (
        Problem,
        UserNotFound,
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
    if options.command == "rebuild":
        wallet = backend.corrections.rebuild(options.user)
        return f"The wallet of {options.user} is what its {wallet.seq} entries say: {wallet.credits}."
    entry = backend.corrections.correct(
        options.user,
        Credits(trial=options.trial, paid=options.paid),
        reason=options.reason,
        key=options.key,
        request_id=options.request,
    )
    return f"Booked {entry.id}: {entry.amount}; the balance of {options.user} is {entry.balance_after}."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="repair", description="Put books right. See docs/runbook.md.")
    parser.add_argument("--project", help="a deployed project, with your Google credentials; else the running suite")
    commands = parser.add_subparsers(dest="command", required=True)
    rebuild = commands.add_parser("rebuild", help="make a wallet what its ledger says")
    rebuild.add_argument("user")
    correct = commands.add_parser("correct", help="book a correction")
    correct.add_argument("user")
    correct.add_argument("--trial", type=int, default=0, help="credits to add; negative takes away")
    correct.add_argument("--paid", type=int, default=0, help="credits to add; negative takes away")
    correct.add_argument("--request", help="the generation request that it puts right")
    correct.add_argument("--reason", required=True, help="for whoever reads the ledger")
    correct.add_argument("--key", required=True, help="booked once under this key, however often it is run")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
