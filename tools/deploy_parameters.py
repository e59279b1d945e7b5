"""The parameters of a deploy, as the Firebase CLI reads them, and what is wrong with them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tools.emulators.project import ROOT, Problem

FUNCTIONS = ROOT / "functions"
LOAD = """
const [functionsSource, projectId] = process.argv.slice(1);
try {
  const envs = require("firebase-tools/lib/functions/env").loadUserEnvs({functionsSource, projectId, projectDir: "."});
  console.log("\\n" + JSON.stringify(envs));
} catch (error) {
  console.error([error, ...error.children ?? []].map(({message}) => message).join(" "));
  process.exit(1);
}
"""
DISCOVERY = """
import json
from firebase_functions.private.serving import functions_as_yaml, get_functions
print(functions_as_yaml(get_functions()))
from imagegen import settings
problems = []
def switches():
    for one in vars(settings).values():
        if isinstance(one, settings.Switch):
            one.value
for read in (
    settings.limits, settings.trial_credits, settings.accounts_without_email, settings.mail_collection, switches
):
    try:
        read()
    except ValueError as error:
        problems.append(str(error))
optional = [one.name for one in vars(settings).values() if isinstance(one, settings.Variable)]
print("---\\n" + json.dumps({"optional": optional, "problems": problems}))
"""


def env_of(project: str, functions: Path = FUNCTIONS) -> dict[str, str]:
    """Return the parameters that a deploy to the project reads from .env and .env.PROJECT. Raises Problem."""
    printed = _output(["node", "-e", LOAD, str(functions), project], ROOT)
    values: dict[str, str] = json.loads(printed.splitlines()[-1])
    return values


def discovered(project: str, env: Mapping[str, str]) -> dict[str, Any]:
    """Return the manifest that the CLI would discover, without this shell's variables. Raises Problem.

    Its key ``settings`` has the names of the optional parameters, and what the functions refuse.
    """
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    clean |= {**env, "GCLOUD_PROJECT": project, "FIREBASE_CONFIG": json.dumps({"projectId": project})}
    python = str(FUNCTIONS / "venv" / "bin" / "python")
    try:
        printed = _output([python, "-W", "ignore", "-c", DISCOVERY], FUNCTIONS, clean)
    except Problem as problem:
        raise Problem(f"The functions cannot be loaded:\n{problem}") from problem
    manifest, settings = yaml.safe_load_all(printed)
    return {**manifest, "settings": settings}


def _output(command: Sequence[str], directory: Path, env: Mapping[str, str] | None = None) -> str:
    """Return the output of a command. Raises Problem with the end of what a failed one wrote to stderr."""
    done = subprocess.run(command, check=False, cwd=directory, env=env, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Problem(done.stderr.strip()[-1000:])
    return done.stdout


def problems_of_parameters(manifest: Mapping[str, Any], env: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong: first the types, then the values."""
    secrets = {param["name"] for param in manifest["params"] if param["type"] == "secret"}
    params = {param["name"]: param["type"] for param in manifest["params"] if param["type"] != "secret"}
    wrong_types = list(_wrong_types(params, env))
    yield from wrong_types or manifest["settings"]["problems"]
    for name in sorted(env.keys() - params.keys() - {"THREADS", *manifest["settings"]["optional"]}):
        if name in secrets or name.endswith(("_SECRET", "_KEY")):
            yield f"{name} is a secret, which is not for a file: npx firebase functions:secrets:set {name}"
        else:
            yield f"{name} is not a parameter of the functions"
    yield from _wrong_numbers(manifest, env)
    yield from _wrong_switches(env)
    yield from _wrong_addresses(env)


def _wrong_types(params: Mapping[str, str], env: Mapping[str, str]) -> Iterator[str]:
    for name, kind in params.items():
        value = env.get(name)
        if value is None:
            yield f"{name} is not set: a deploy would ask for it"
        elif kind == "int" and not re.fullmatch("-?[0-9]+", value):
            yield f"{name} must be a number, not {value!r}"
        elif kind == "boolean" and value not in ("true", "false"):
            yield f"{name} must be true or false, not {value!r}"


def _wrong_numbers(manifest: Mapping[str, Any], env: Mapping[str, str]) -> Iterator[str]:
    endpoints = manifest["endpoints"].values()
    kept, instances_max = env.get("MIN_INSTANCES", ""), min(endpoint["maxInstances"] for endpoint in endpoints)
    if re.fullmatch("-?[0-9]+", kept) and not 0 <= int(kept) <= instances_max:
        yield f"MIN_INSTANCES must be from 0 to {instances_max}, not {kept}"
    [concurrency] = {endpoint["concurrency"] for endpoint in endpoints}
    if env.get("THREADS") != str(concurrency):
        yield f"THREADS must be {concurrency}, as concurrency in functions/main.py"


def _wrong_switches(env: Mapping[str, str]) -> Iterator[str]:
    if env.get("REQUIRE_AUTH") == "false":
        yield "REQUIRE_AUTH is false: anyone could spend anyone's credits"
    if env.get("ALLOW_LOCAL_WEBHOOKS") == "true":
        yield "ALLOW_LOCAL_WEBHOOKS is true: users could reach your network"
    if env.get("OPENAI_PROVIDER", "").strip() not in ("", "on"):
        yield f"OPENAI_PROVIDER must be on, or left out, not {env['OPENAI_PROVIDER']!r}, which also turns it on"
    is_on = {
        name: env.get(name, "").strip().lower() == "true" for name in ("PAYMENTS_ENABLED", "REFUND_UNSPENT_PURCHASES")
    }
    if is_on["REFUND_UNSPENT_PURCHASES"] and not is_on["PAYMENTS_ENABLED"]:
        yield "REFUND_UNSPENT_PURCHASES needs PAYMENTS_ENABLED=true"


def _wrong_addresses(env: Mapping[str, str]) -> Iterator[str]:
    indexes = json.loads((ROOT / "firestore.indexes.json").read_text("utf-8"))
    expiring = {one["collectionGroup"] for one in indexes["fieldOverrides"] if one.get("ttl")}
    if env.get("MAIL_COLLECTION", "").strip() not in {"", *expiring}:
        yield "MAIL_COLLECTION has no TTL policy: put it into firestore.indexes.json, as the one of mail"
    bucket = env.get("STORAGE_BUCKET", "").strip()
    if bucket and not re.fullmatch("[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", bucket):
        yield f"STORAGE_BUCKET must be the name of a bucket, such as my-project.firebasestorage.app, not {bucket!r}"
    origins = [origin.strip() for origin in env.get("PURCHASE_RETURN_URLS", "").split(",")]
    for name, urls, paths in (
        ("REPORT_WEBHOOK_URL", [env.get("REPORT_WEBHOOK_URL", "").strip()], None),
        ("PUBLIC_BASE_URL", [env.get("PUBLIC_BASE_URL", "").strip()], None),
        ("PURCHASE_RETURN_URLS", origins, ("", "/")),
    ):
        for url in filter(None, urls):
            if not _is_address(url) or (paths is not None and urlsplit(url).path not in paths):
                kind = "an address" if paths is None else "an origin"
                yield f"{name} must be {kind}, such as https://app.example.com, not {url!r}"


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0 and not parts.fragment
    except ValueError:
        return False
