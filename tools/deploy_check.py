"""`make deploy-check PROJECT=…`: checks what can be known before a deploy, and prints what the deploy would create.

It needs no account. If you have signed in with gcloud, it also checks the project's secrets, roles and catalog. If not,
it lists them as not known. Exit codes: 0 if no check failed, else 1.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import requests

from tools import catalog, ops
from tools.deploy_account import Ask, problems_of_catalog, problems_of_roles, problems_of_secrets
from tools.deploy_parameters import FUNCTIONS, discovered, env_of, problems_of_parameters
from tools.emulators.firestore_emulator import FirestoreEmulator
from tools.emulators.project import ROOT, Problem, Project

PROJECT_ID = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
NOT_KNOWN = {
    "database": "whether the project is on the Blaze plan and has a Firestore database, Authentication and a bucket",
    "indexes": "whether they are built: firebase deploy --only firestore:indexes, then look at the console",
}
"""The facts that only the console tells."""

Command = Callable[[Sequence[str]], str | None]
"""Runs a command in the project's folder. Returns the end of its output if it failed."""


def run(command: Sequence[str]) -> str | None:
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=600)
    return None if done.returncode == 0 else (done.stdout + done.stderr)[-1000:]


def problems_of_id(project: str) -> Iterator[str]:
    if not PROJECT_ID.fullmatch(project):
        yield f"{project!r} is not a project id"
    if project.startswith("demo-"):
        yield "the CLI never deploys a project whose id starts with demo-"


def problems_of_packages() -> Iterator[str]:
    """Compare functions/venv with requirements.txt, because the deploy installs the latter."""
    [site] = (FUNCTIONS / "venv" / "lib").glob("python*/site-packages")
    installed = {re.sub("[-_.]+", "-", one.name).lower(): one.version for one in distributions(path=[str(site)])}
    requirements = (FUNCTIONS / "requirements.txt").read_text("utf-8")
    for name, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", requirements, re.MULTILINE):
        found = installed.get(re.sub("[-_.]+", "-", name))
        if found is not None and found != version:
            yield f"functions/venv has {name} {found}, and requirements.txt has {version}"


def problems_of_rules(path: Path = ROOT / "firestore.rules") -> Iterator[str]:
    """Compile the rules in the Firestore emulator."""
    with FirestoreEmulator() as emulator:
        content = {"rules": {"files": [{"name": path.name, "content": path.read_text("utf-8")}]}}
        url = f"http://{emulator.host}/emulator/v1/projects/deploy-check:securityRules"
        answer = requests.put(url, json=content, timeout=30)
        if not answer.ok:
            yield answer.text[:500]


def problems_of_indexes(command: Command) -> Iterator[str]:
    """Compare the declared indexes with the queries that the functions send, as the test does."""
    output = command([sys.executable, "-m", "pytest", "-q", "tests/integration/test_indexes.py"])
    if output is not None:
        yield output


def plan(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the deploy would create."""
    endpoints = manifest["endpoints"]
    for trigger, kind in (
        ("callableTrigger", "callable functions"),
        ("httpsTrigger", "HTTP functions"),
        ("taskQueueTrigger", "task queues"),
        ("scheduleTrigger", "schedules"),
    ):
        of_kind = {name: endpoint[trigger] for name, endpoint in endpoints.items() if trigger in endpoint}
        details = [name + _details(value) for name, value in sorted(of_kind.items())]
        yield f"{len(of_kind)} {kind}: {', '.join(details)}"
    secrets = [param["name"] for param in manifest["params"] if param["type"] == "secret"]
    yield f"{len(secrets)} secrets, which must exist: {', '.join(secrets) or 'none'}"
    indexes = json.loads((ROOT / "firestore.indexes.json").read_text("utf-8"))
    policies = [f"{one['collectionGroup']}.{one['fieldPath']}" for one in indexes["fieldOverrides"] if one.get("ttl")]
    yield f"{len(indexes['indexes'])} composite indexes, {len(indexes['fieldOverrides'])} single-field settings"
    yield f"{len(policies)} TTL policies: {', '.join(policies)}"
    for rewrite in Project.load(ROOT).config["hosting"]["rewrites"]:
        yield f"Hosting: {rewrite['source']} → {rewrite['function']['functionId']}"
    yield f"not by the deploy, but by make catalog: {len(list(catalog.options()))} options"


def _details(trigger: Mapping[str, Any]) -> str:
    if "schedule" in trigger:
        return f" ({trigger['schedule']} {trigger['timeZone']})"
    limits = trigger.get("rateLimits") or {}
    return f" ({limits['maxConcurrentDispatches']} at once)" if "maxConcurrentDispatches" in limits else ""


def main(arguments: Sequence[str], command: Command = run, ask: Ask = ops.gcloud) -> int:
    if len(arguments) != 1:
        print("Name the project: make deploy-check PROJECT=YOUR-PROJECT", file=sys.stderr)
        return 1
    [project] = arguments
    manifest: dict[str, Any] = {}
    failed = False

    def check(name: str, problems: Iterator[str], *, may_be_unknown: bool = False) -> None:
        nonlocal failed
        try:
            found = list(problems)
        except (Problem, RuntimeError, ValueError, OSError, subprocess.SubprocessError) as problem:
            if may_be_unknown:
                lines = str(problem).splitlines() or ["no answer"]
                reason = next((line for line in lines if line.startswith("ERROR")), lines[-1])
                _print("not known", name, [f"sign in as docs/deploying.md says, and repeat the check: {reason}"])
                return
            found = [str(problem)]
        failed = failed or bool(found)
        _print("failed" if found else "ok", name, found)

    def parameters() -> Iterator[str]:
        env = env_of(project)
        manifest.update(discovered(project, env))
        yield from problems_of_parameters(manifest, env)

    check("project id", problems_of_id(project))
    if failed:
        return 1  # the next checks read files and call services by this name
    check("parameters, and discovery in a clean environment", parameters())
    check("packages", problems_of_packages())
    check("rules compile", problems_of_rules())
    check("an index for each query", problems_of_indexes(command))
    if manifest:
        check("secrets", problems_of_secrets(project, manifest, ask), may_be_unknown=True)
    check("roles", problems_of_roles(project, ask), may_be_unknown=True)
    check("catalog", problems_of_catalog(project, ask), may_be_unknown=True)
    for name, question in NOT_KNOWN.items():
        _print("not known", name, [question])
    if manifest:
        print("\nThe deploy would create or update:", *plan(manifest), sep="\n  ")
    return int(failed)


def _print(outcome: str, name: str, details: Sequence[str]) -> None:
    print(f"{outcome:<10} {name}", *details, sep="\n           ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
