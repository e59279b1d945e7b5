"""Tests of `make deploy-check`. The suite itself compares the indexes with the queries, so this file does not."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tools import deploy_check
from tools.emulators.project import Problem


def no_problem(command: Sequence[str]) -> None:
    assert command[-1] == "tests/integration/test_indexes.py"


def test_made_up_project_could_be_deployed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RATE_LIMIT_BURST", "a variable of this shell")

    code = deploy_check.main(["made-up-project"], no_problem)

    printed = capsys.readouterr().out
    assert code == 0, printed
    assert printed.count("\nok ") + printed.startswith("ok ") == 6
    unknown = [line.split()[2].rstrip(":") for line in printed.splitlines() if line.startswith("not known")]
    assert unknown == list(deploy_check.NOT_KNOWN)
    for created in (
        "6 task queues",
        "4 schedules",
        "TTL policies: webhookDeliveries.expireAt",
        "Hosting: /v1/** → api",
    ):
        assert created in printed
    assert "sweepAbandonedRequests (*/5 * * * * Etc/UTC)" in printed


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("TRIAL_CREDITS=ten", "TRIAL_CREDITS must be a number, not 'ten'"),
        ("REQUIRE_AUTH=false", "REQUIRE_AUTH is false"),
        ("ENFORCE_APP_CHECK=yes", "ENFORCE_APP_CHECK must be true or false, not 'yes'"),
        ("MAIL_COLLECTION=letters", "MAIL_COLLECTION is not mail"),
    ],
)
def test_wrong_parameter_is_found(tmp_path: Path, lines: str, problem: str) -> None:
    (tmp_path / ".env").write_text((deploy_check.FUNCTIONS / ".env").read_text("utf-8"), "utf-8")
    (tmp_path / ".env.shop").write_text(f"{lines}\n", "utf-8")
    params = [
        {"name": "TRIAL_CREDITS", "type": "int"},
        {"name": "REQUIRE_AUTH", "type": "boolean"},
        {"name": "ENFORCE_APP_CHECK", "type": "boolean"},
    ]
    [found] = deploy_check.problems_of_parameters({"params": params}, deploy_check.env_of("shop", tmp_path))
    assert found.startswith(problem)


def test_parameter_without_a_value_is_found() -> None:
    params = [{"name": "NEW_LIMIT", "type": "int"}]
    assert list(deploy_check.problems_of_parameters({"params": params}, {})) == [
        "NEW_LIMIT is not set: a deploy would ask for it"
    ]


def test_rules_that_do_not_compile_are_found(tmp_path: Path) -> None:
    (tmp_path / "firestore.rules").write_text("service cloud.firestore { match", "utf-8")
    assert list(deploy_check.problems_of_rules(tmp_path / "firestore.rules"))


@pytest.mark.parametrize("project", ["demo-shop", "Shop", "a", "shop/../x"])
def test_project_that_cannot_be_deployed_is_refused(project: str) -> None:
    assert list(deploy_check.problems_of_id(project))


def test_discovery_that_fails_is_told() -> None:
    with pytest.raises(Problem, match="cannot be loaded"):
        deploy_check.discovered("made-up-project", {"ACCOUNTS_WITHOUT_EMAIL": "everyone"})
