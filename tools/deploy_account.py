"""The part of `make deploy-check` that only an account can tell: secrets, roles and the catalog of a project."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import requests

from tools import catalog
from tools.emulators.project import Problem

Ask = Callable[[Sequence[str]], str]
"""Runs a command of gcloud and returns its output. Raises Problem."""

ROLES = ("roles/cloudtasks.enqueuer", "roles/run.invoker")
OWN_ROLE = "roles/iam.serviceAccountUser"
DOCUMENTS = "https://firestore.googleapis.com/v1/projects/{project}/databases/(default)/documents/{collection}"


def problems_of_secrets(project: str, manifest: Mapping[str, Any], ask: Ask) -> Iterator[str]:
    """Yield each secret that the functions read and Secret Manager lacks. Raises Problem."""
    needed = [param["name"] for param in manifest["params"] if param["type"] == "secret"]
    if not needed:
        return
    listed = json.loads(ask(["secrets", "list", f"--project={project}", "--format=json"]))
    known = {secret["name"].rpartition("/")[2] for secret in listed}
    for name in needed:
        if name not in known:
            yield f"{name} is missing: npx firebase functions:secrets:set {name} --project {project}"


def problems_of_roles(project: str, ask: Ask) -> Iterator[str]:
    """Yield each role that the functions' service account lacks. Raises Problem."""
    number = ask(["projects", "describe", project, "--format=value(projectNumber)"]).strip()
    account = f"{number}-compute@developer.gserviceaccount.com"
    of_project = _roles(account, ask(["projects", "get-iam-policy", project, "--format=json"]))
    policy = ["iam", "service-accounts", "get-iam-policy", account, f"--project={project}", "--format=json"]
    has = {*of_project, *(role for role in _roles(account, ask(policy)) if role == OWN_ROLE)}
    for role in (*ROLES, OWN_ROLE):
        if role not in has:
            yield f"{account} lacks {role}: see docs/deploying.md#permit-the-functions-to-use-cloud-tasks"


def _roles(account: str, policy: str) -> set[str]:
    bindings = json.loads(policy).get("bindings", [])
    return {binding["role"] for binding in bindings if f"serviceAccount:{account}" in binding.get("members", [])}


def problems_of_catalog(project: str, ask: Ask) -> Iterator[str]:
    """Yield each kind of option of which the project has none. Raises Problem."""
    token = ask(["auth", "print-access-token"]).strip()
    for collection in sorted({path.partition("/")[0] for path, _ in catalog.options()} - {"packages"}):
        answer = requests.get(
            DOCUMENTS.format(project=project, collection=collection),
            params={"pageSize": 1},
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        )
        if not answer.ok:
            raise Problem(f"Firestore answered {answer.status_code}")
        if not answer.json().get("documents"):
            yield f"there are no {collection}: make catalog PROJECT={project}"
