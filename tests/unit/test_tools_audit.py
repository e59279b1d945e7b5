"""Tests of the commands `make audit` and `make restore-drill` that need no emulators."""

import io

import pytest
from rich.console import Console

from imagegen.domain.audit import Finding, Invariant
from tools import audit, restore_drill

FINDING = Finding(
    Invariant.CHAIN, "Entry 7 has another hash than it must have.", (f"users/{'u' * 28}/creditTransactions/{'e' * 36}",)
)


def test_database_without_a_project_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        audit.main(["--database=drill"], Console())
    assert refused.value.code == 2
    assert "DATABASE needs PROJECT" in capsys.readouterr().err


def test_finding_and_its_documents_are_printed_on_a_line_each_in_a_narrow_terminal() -> None:
    output = io.StringIO()
    audit.print_finding(FINDING, Console(file=output, width=20))
    assert output.getvalue().splitlines() == [f"CHAIN: {FINDING.message}", f"    {FINDING.documents[0]}"]


def test_restore_drill_prints_findings_as_the_audit_does(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = "The copy has no user user-100."
    monkeypatch.setattr(restore_drill, "operator_client", lambda _: None)
    monkeypatch.setattr(restore_drill, "rehearse", lambda *_: (2, [FINDING], [lost]))
    output, expected = io.StringIO(), io.StringIO()
    assert restore_drill.main([], Console(file=output, width=20)) == 1
    audit.print_finding(FINDING, Console(file=expected, width=20))
    assert output.getvalue().startswith(f"{expected.getvalue()}{lost}\n\nProblems: 2.")
