"""Tests of the report of a session fixture that fails."""

import os
import subprocess
import sys
from pathlib import Path

from tools.emulators.project import ROOT

TESTS = """
import pytest

@pytest.fixture(scope="session")
def shared():
    raise RuntimeError("it did not start")

@pytest.fixture
def own():
    raise RuntimeError("it is out of order")

@pytest.mark.parametrize("number", range(5))
def test_of_the_shared(shared, number): pass

@pytest.mark.parametrize("number", range(2))
def test_of_its_own(own, number): pass

def test_of_nothing(): pass
"""


def test_failed_session_fixture_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_fixture_setup\n")
    (tmp_path / "test_it.py").write_text(TESTS)
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:schemathesis",
            "-p",
            "no:warnings",  # on some dates, Google's client library warns about old versions of Python
            "-rs",
            "--rootdir",
            tmp_path,
            tmp_path,
        ],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/functions", "PYTEST_ADDOPTS": ""},
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert "1 passed, 4 skipped, 3 errors" in run.stdout
    assert run.stdout.count('raise RuntimeError("it did not start")') == 1
    assert "shared failed, as the first test that needs it reports" in run.stdout
