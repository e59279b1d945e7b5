"""Tests of the command `make audit` that need no emulators."""

import pytest
from rich.console import Console

from tools import audit


def test_database_without_a_project_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        audit.main(["--database=drill"], Console())
    assert refused.value.code == 2
    assert "DATABASE needs PROJECT" in capsys.readouterr().err
