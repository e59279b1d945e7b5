"""Tests of `make test DATE=…`, which runs a command and its child processes on another date."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tools import on_date
from tools.emulators import binaries, java
from tools.emulators.project import ROOT

CLOCKS = """
import json, subprocess, sys, time
clocks = (time.CLOCK_MONOTONIC, time.CLOCK_REALTIME)
began = [time.clock_gettime(clock) for clock in clocks]
time.sleep(0.2)
passed = [time.clock_gettime(clock) - start for clock, start in zip(clocks, began)]
of_node = subprocess.run(["node", "-p", "new Date"], capture_output=True, text=True, check=True).stdout
print(json.dumps([time.strftime("%F %H:%M", time.gmtime()), of_node[:16].replace("T", " "), *passed]))
"""


@pytest.mark.skipif(find_spec("libfaketime") is None, reason="libfaketime is not for this platform")
def test_all_processes_see_the_date_and_time_passes() -> None:
    command = [sys.executable, "-m", "tools.on_date", "2028-02-29T23:40", sys.executable, "-c", CLOCKS]
    # These tests may run on another date themselves.
    today = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    run = subprocess.run(command, cwd=ROOT, env=today, capture_output=True, text=True, check=True)
    python, node, *passed = json.loads(run.stdout)
    assert python.startswith("2028-02-29 23:4")
    assert node.startswith("2028-02-29 23:4")
    assert all(0.15 < seconds < 5 for seconds in passed)


@pytest.fixture
def _java_and_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "require", lambda: None)
    monkeypatch.setattr(binaries, "firestore_jar", lambda: None)


@pytest.mark.usefixtures("_java_and_emulator")
def test_missing_libfaketime_exits_with_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(on_date, "find_spec", lambda _name: None)
    with pytest.raises(SystemExit) as ended:
        on_date.main(["2028-02-29", "true"])
    assert ended.value.code == 2
    assert "libfaketime is not installed" in capsys.readouterr().err


@pytest.mark.usefixtures("_java_and_emulator")
def test_libfaketime_without_effect_exits_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(on_date, "libfaketime", lambda: tmp_path / "none.so")
    with pytest.raises(SystemExit) as ended:
        on_date.main(["2028-02-29", "true"])
    assert ended.value.code == 2
    assert "libfaketime does not work here" in capsys.readouterr().err
