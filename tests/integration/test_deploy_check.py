"""Tests of `make deploy-check`. The suite itself compares the indexes with the queries, so this file does not."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests

from tools import deploy_check
from tools.deploy_account import problems_of_catalog, problems_of_roles, problems_of_secrets
from tools.deploy_parameters import FUNCTIONS, discovered, env_of, problems_of_parameters
from tools.emulators.project import Problem

PROJECT = "made-up-project"


def no_problem(command: Sequence[str]) -> None:
    assert command[-1] == "tests/integration/test_indexes.py"


def not_signed_in(command: Sequence[str]) -> str:
    raise Problem(f"gcloud {command[0]}\nERROR: no active account\nPlease run: gcloud auth login")


@pytest.fixture(scope="module")
def env() -> dict[str, str]:
    return env_of(PROJECT)


@pytest.fixture(scope="module")
def manifest(env: dict[str, str]) -> dict[str, Any]:
    return discovered(PROJECT, env)


def test_made_up_project_could_be_deployed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RATE_LIMIT_BURST", "a variable of this shell")

    code = deploy_check.main([PROJECT], no_problem, not_signed_in)

    printed = capsys.readouterr().out
    assert code == 0, printed
    checked = [line.removeprefix("ok").strip() for line in printed.splitlines() if line.startswith("ok ")]
    assert checked == [
        "project id",
        "parameters, and discovery in a clean environment",
        "packages",
        "rules compile",
        "an index for each query",
        "secrets",
    ]
    unknown = [line.split()[2] for line in printed.splitlines() if line.startswith("not known")]
    assert unknown == ["roles", "catalog", *deploy_check.NOT_KNOWN]
    assert "ERROR: no active account" in printed
    for created in (
        "6 task queues",
        "4 schedules",
        "0 secrets, which must exist: none",
        "TTL policies: webhookDeliveries.expireAt",
        "Hosting: /v1/** → api",
    ):
        assert created in printed
    assert "sweepAbandonedRequests (*/5 * * * * Etc/UTC)" in printed


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("TRIAL_CREDITS=ten", "TRIAL_CREDITS must be a number, not 'ten'"),
        ("MIN_INSTANCES=1.5", "MIN_INSTANCES must be a number"),
        ("MIN_INSTANCES=-1", "MIN_INSTANCES must be from 0 to 20, not -1"),
        ("MIN_INSTANCES=21", "MIN_INSTANCES must be from 0 to 20, not 21"),
        ("THREADS=8", "THREADS must be 16"),
        ("REQUIRE_AUTH=false", "REQUIRE_AUTH is false"),
        ("ALLOW_LOCAL_WEBHOOKS=true", "ALLOW_LOCAL_WEBHOOKS is true"),
        ("ENFORCE_APP_CHECK=yes", "ENFORCE_APP_CHECK must be true or false, not 'yes'"),
        ("OPENAI_PROVIDER=off", "OPENAI_PROVIDER must be on, or left out"),
        ("REFUND_UNSPENT_PURCHASES=true", "REFUND_UNSPENT_PURCHASES needs PAYMENTS_ENABLED=true"),
        ("MAIL_COLLECTION=letters", "MAIL_COLLECTION has no TTL policy"),
        ("STORAGE_BUCKET=gs://shop/images", "STORAGE_BUCKET must be the name of a bucket"),
        ("PUBLIC_BASE_URL=shop.example.com", "PUBLIC_BASE_URL must be an address"),
        ("REPORT_WEBHOOK_URL=ftp://example.com", "REPORT_WEBHOOK_URL must be an address"),
        ("REPORT_WEBHOOK_URL=https://example.com:x/", "REPORT_WEBHOOK_URL must be an address"),
        ("PURCHASE_RETURN_URLS=https://a.example.com, shop", "PURCHASE_RETURN_URLS must be an origin"),
        ("PURCHASE_RETURN_URLS=https://a.example.com/shop", "PURCHASE_RETURN_URLS must be an origin"),
        ("STRIPE_SECRET_KEY=sk_live_1", "STRIPE_SECRET_KEY is a secret, which is not for a file"),
        ("TRIAL_CREDIT=20", "TRIAL_CREDIT is not a parameter of the functions"),
    ],
)
def test_wrong_parameter_is_found(
    manifest: Mapping[str, Any], env: Mapping[str, str], change: str, problem: str
) -> None:
    name, _, value = change.partition("=")
    [found] = problems_of_parameters(manifest, {**env, name: value})
    assert found.startswith(problem)


@pytest.mark.parametrize(
    "change",
    [
        "MIN_INSTANCES=20",
        "OPENAI_PROVIDER=on",
        "MAIL_COLLECTION=mail",
        "STORAGE_BUCKET=shop.firebasestorage.app",
        "PUBLIC_BASE_URL=https://shop.example.com",
        "REPORT_WEBHOOK_URL=http://10.0.0.7:8080/alerts?from=shop",
        "PURCHASE_RETURN_URLS=https://a.example.com, http://localhost:3000/",
    ],
)
def test_right_parameter_is_accepted(manifest: Mapping[str, Any], env: Mapping[str, str], change: str) -> None:
    name, _, value = change.partition("=")
    assert list(problems_of_parameters(manifest, {**env, name: value})) == []


def test_every_parameter_must_have_a_value(manifest: Mapping[str, Any]) -> None:
    names = [param["name"] for param in manifest["params"]]
    found = list(problems_of_parameters(manifest, {"THREADS": "16"}))
    assert found == [f"{name} is not set: a deploy would ask for it" for name in names]


def test_values_that_the_functions_refuse_are_found(env: Mapping[str, str]) -> None:
    wrong = {
        **env,
        "TRIAL_CREDITS": "-1",
        "RATE_LIMIT_BURST": "0",
        "ACCOUNTS_WITHOUT_EMAIL": "everyone",
        "MAIL_COLLECTION": "a/b",
        "REFUND_UNSPENT_PURCHASES": "maybe",
    }
    assert [problem[:30] for problem in discovered(PROJECT, wrong)["settings"]["problems"]] == [
        "each limit must be 1 or more: ",
        "TRIAL_CREDITS must be 0 or mor",
        "ACCOUNTS_WITHOUT_EMAIL must be",
        "MAIL_COLLECTION must be the na",
        "REFUND_UNSPENT_PURCHASES must ",
    ]


def test_files_are_read_as_the_cli_reads_them(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text((FUNCTIONS / ".env").read_text("utf-8"), "utf-8")
    (tmp_path / f".env.{PROJECT}").write_text('RATE_LIMIT_BURST="30" # more\nTRIAL_CREDITS 10\n', "utf-8")
    with pytest.raises(Problem, match="error on lines: TRIAL_CREDITS 10"):
        env_of(PROJECT, tmp_path)
    (tmp_path / f".env.{PROJECT}").write_text('RATE_LIMIT_BURST="30" # more\n', "utf-8")
    assert env_of(PROJECT, tmp_path)["RATE_LIMIT_BURST"] == "30"
    (tmp_path / f".env.{PROJECT}").write_text("FIREBASE_TOKEN=1\n", "utf-8")
    with pytest.raises(Problem, match="FIREBASE_TOKEN starts with a reserved prefix"):
        env_of(PROJECT, tmp_path)


def test_rules_that_do_not_compile_are_found(tmp_path: Path) -> None:
    (tmp_path / "firestore.rules").write_text("service cloud.firestore { match", "utf-8")
    assert list(deploy_check.problems_of_rules(tmp_path / "firestore.rules"))


@pytest.mark.parametrize("project", ["demo-shop", "Shop", "a", "shop/../x", "shop; ls", "--help", ""])
def test_project_that_cannot_be_deployed_is_refused(project: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy_check.main([project], no_problem, not_signed_in) == 1
    assert capsys.readouterr().out.startswith("failed     project id\n")


def test_discovery_that_fails_is_told() -> None:
    with pytest.raises(Problem, match="PAYMENTS_ENABLED must be true or false"):
        discovered(PROJECT, {"PAYMENTS_ENABLED": "yes"})


def test_missing_program_fails_its_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(deploy_check, "problems_of_rules", lambda: iter(()))
    assert deploy_check.main([PROJECT], no_problem, not_signed_in) == 1
    assert "No such file or directory: 'node'" in capsys.readouterr().out


# What only an account can tell

ACCOUNT = "7-compute@developer.gserviceaccount.com"


def policy(**members: str) -> str:
    bindings = [{"role": f"roles/{role}", "members": [member]} for role, member in members.items()]
    return json.dumps({"bindings": bindings})


def test_secrets_that_are_missing_are_found(env: Mapping[str, str]) -> None:
    manifest = discovered(PROJECT, {**env, "PAYMENTS_ENABLED": "true"})
    listed = json.dumps([{"name": "projects/7/secrets/STRIPE_SECRET_KEY"}])
    assert list(problems_of_secrets(PROJECT, manifest, lambda _command: listed)) == [
        "STRIPE_WEBHOOK_SECRET is missing: npx firebase functions:secrets:set STRIPE_WEBHOOK_SECRET "
        f"--project {PROJECT}"
    ]
    with pytest.raises(Problem):
        list(problems_of_secrets(PROJECT, manifest, not_signed_in))


def test_roles_that_are_missing_are_found() -> None:
    mine, other = f"serviceAccount:{ACCOUNT}", "user:somebody@example.com"
    answers = {
        "describe": "7\n",
        PROJECT: policy(**{"cloudtasks.enqueuer": mine, "run.invoker": other, "editor": mine}),
        ACCOUNT: policy(**{"iam.serviceAccountUser": mine}),
    }

    def asked(command: Sequence[str]) -> str:
        return next(answers[word] for word in ("describe", ACCOUNT, PROJECT) if word in command)

    [found] = problems_of_roles(PROJECT, asked)
    assert found.startswith(f"{ACCOUNT} lacks roles/run.invoker")
    answers |= {PROJECT: policy(**{"run.invoker": mine}), ACCOUNT: "{}"}
    assert [problem.split()[2].rstrip(":") for problem in problems_of_roles(PROJECT, asked)] == [
        "roles/cloudtasks.enqueuer",
        "roles/iam.serviceAccountUser",
    ]


def test_catalog_that_is_missing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def get(url: str, headers: Mapping[str, str], **_options: Any) -> requests.Response:
        asked.append((url.rpartition("/")[2], headers["Authorization"]))
        response = requests.Response()
        response.status_code = 200 if PROJECT in url else 404
        response._content = b"{}" if url.endswith("/styles") else b'{"documents": [{}]}'
        return response

    monkeypatch.setattr(requests, "get", get)
    assert list(problems_of_catalog(PROJECT, lambda _command: "token\n")) == [
        f"there are no styles: make catalog PROJECT={PROJECT}"
    ]
    assert asked == [(name, "Bearer token") for name in ("colors", "models", "sizes", "styles")]
    with pytest.raises(Problem, match="404"):
        list(problems_of_catalog("other", lambda _command: "token"))
