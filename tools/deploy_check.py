"""`make deploy-check PROJECT=…`: checks what can be known before a deploy, and prints what the deploy would create.

It needs no account. What only an account can tell is listed as not known. Exit codes: 0 if no check failed, else 1.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import requests
import yaml

from tools import catalog
from tools.emulators.firestore_emulator import FirestoreEmulator
from tools.emulators.project import ROOT, Problem, Project

FUNCTIONS = ROOT / "functions"
PROJECT_ID = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
DISCOVERY = (
    "from firebase_functions.private.serving import functions_as_yaml, get_functions\n"
    "print(functions_as_yaml(get_functions()))\n"
    "from imagegen import settings\n"
    "settings.limits(), settings.trial_credits(), settings.accounts_without_email(), settings.mail_collection()\n"
)
NOT_KNOWN = {
    "secrets": "whether Secret Manager has them: npx firebase functions:secrets:access NAME --project {project}",
    "roles": "whether the functions' service account has roles/cloudtasks.enqueuer, roles/run.invoker and "
    "roles/iam.serviceAccountUser (docs/deploying.md)",
    "catalog": "whether the project has one: make catalog PROJECT={project} creates what is missing",
    "database": "whether the project is on the Blaze plan and has a Firestore database, Authentication and a bucket",
    "indexes": "whether they are built: firebase deploy --only firestore:indexes, then look at the console",
}
"""The facts that only an account can tell."""

Command = Callable[[Sequence[str]], str | None]
"""Runs a command in the project's folder. Returns the end of its output if it failed."""


def run(command: Sequence[str]) -> str | None:
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=600)
    return None if done.returncode == 0 else (done.stdout + done.stderr)[-1000:]


def env_of(project: str, functions: Path = FUNCTIONS) -> dict[str, str]:
    """Return the parameters that a deploy to the project uses, from .env and .env.PROJECT."""
    values: dict[str, str] = {}
    for name in (".env", f".env.{project}"):
        if (functions / name).exists():
            values |= dict(re.findall(r"^([A-Z_]+)=(.*)$", (functions / name).read_text("utf-8"), re.MULTILINE))
    return values


def discovered(project: str, env: Mapping[str, str]) -> dict[str, Any]:
    """Return the manifest that the CLI would discover, without this shell's variables. Raises Problem."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    clean |= {"GCLOUD_PROJECT": project, "FIREBASE_CONFIG": json.dumps({"projectId": project}), **env}
    python = FUNCTIONS / "venv" / "bin" / "python"
    done = subprocess.run(
        [python, "-W", "ignore", "-c", DISCOVERY],
        check=False,
        cwd=FUNCTIONS,
        env=clean,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode != 0:
        raise Problem(f"The functions cannot be loaded:\n{done.stderr[-1000:]}")
    manifest: dict[str, Any] = yaml.safe_load(done.stdout)
    return manifest


def problems_of_id(project: str) -> Iterator[str]:
    if not PROJECT_ID.fullmatch(project):
        yield f"{project} is not a project id"
    if project.startswith("demo-"):
        yield "the CLI never deploys a project whose id starts with demo-"


def problems_of_parameters(manifest: Mapping[str, Any], env: Mapping[str, str]) -> Iterator[str]:
    for param in manifest["params"]:
        name, kind = param["name"], param["type"]
        if kind == "secret":
            continue
        value = env.get(name)
        if value is None:
            yield f"{name} is not set: a deploy would ask for it"
        elif kind == "int" and not re.fullmatch("-?[0-9]+", value):
            yield f"{name} must be a number, not {value!r}"
        elif kind == "boolean" and value not in ("true", "false"):
            yield f"{name} must be true or false, not {value!r}"
    if env.get("REQUIRE_AUTH") == "false":
        yield "REQUIRE_AUTH is false: anyone could spend anyone's credits"
    if env.get("ALLOW_LOCAL_WEBHOOKS") == "true":
        yield "ALLOW_LOCAL_WEBHOOKS is true: users could reach your network"
    if env.get("MAIL_COLLECTION", "mail").strip() not in ("", "mail"):
        yield "MAIL_COLLECTION is not mail: put its TTL policy into firestore.indexes.json"


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


def main(arguments: Sequence[str], command: Command = run) -> int:
    if len(arguments) != 1:
        print("Name the project: make deploy-check PROJECT=YOUR-PROJECT", file=sys.stderr)
        return 1
    [project] = arguments
    env, failed = env_of(project), False

    def check(name: str, problems: Iterator[str]) -> None:
        nonlocal failed
        try:
            found = list(problems)
        except (Problem, RuntimeError, requests.RequestException) as problem:
            found = [str(problem)]
        failed = failed or bool(found)
        print(f"{'failed' if found else 'ok':<10} {name}" + "".join(f"\n           {problem}" for problem in found))

    manifest: dict[str, Any] | None = None

    def discovery() -> Iterator[str]:
        nonlocal manifest
        manifest = discovered(project, env)
        yield from ()

    check("project id", problems_of_id(project))
    check("discovery in a clean environment", discovery())
    if manifest is not None:
        check("parameters", problems_of_parameters(manifest, env))
    check("packages", problems_of_packages())
    check("rules compile", problems_of_rules())
    check("an index for each query", problems_of_indexes(command))
    for name, question in NOT_KNOWN.items():
        print(f"{'not known':<10} {name}: {question.format(project=project)}")
    if manifest is not None:
        print("\nThe deploy would create or update:", *plan(manifest), sep="\n  ")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
