"""Tests of the console's build and of its Content-Security-Policy."""

import gzip
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tools.emulators import console
from tools.emulators.ports import Port
from tools.emulators.project import ROOT, Problem, Project
from tools.emulators.start import CONFIG, prepare
from tools.emulators.suite import workspace

BUNDLE_BYTES_MAX = 180_000
"""The compressed size of the whole script. Three quarters of it is the Firebase SDK."""

GOOGLE = {
    "https://identitytoolkit.googleapis.com",
    "https://securetoken.googleapis.com",
    "https://firestore.googleapis.com",
    "https://*.cloudfunctions.net",
}
STORAGE = "https://firebasestorage.googleapis.com"


def headers(config: Mapping[str, Any], source: str = "**") -> dict[str, str]:
    [rule] = [rule for rule in config["hosting"]["headers"] if rule["source"] == source]
    return {header["key"]: header["value"] for header in rule["headers"]}


def policy(config: Mapping[str, Any]) -> dict[str, set[str]]:
    directives = [directive.split() for directive in headers(config)[console.POLICY].split("; ")]
    return {name: set(sources) for name, *sources in directives}


def test_committed_policy_allows_only_this_site_and_firebase() -> None:
    nothing = {"'none'"}
    assert policy(Project.load(ROOT).config) == {
        "default-src": nothing,
        "script-src": {"'self'"},
        "style-src": {"'self'"},
        "img-src": {"'self'", STORAGE},
        "connect-src": {"'self'", *GOOGLE},
        "base-uri": nothing,
        "form-action": nothing,
        "frame-ancestors": nothing,
        "require-trusted-types-for": {"'script'"},
    }


def test_make_start_adds_only_the_emulators_in_use_to_the_policy(tmp_path: Path) -> None:
    """They have other ports than those of firebase.json, and the rest of the policy stays."""
    project = Project.load(workspace(tmp_path / "project", seed=None))
    ports = prepare(project, []).ports
    urls = {name: f"http://{port}" for name, port in ports.items()}
    committed = policy(Project.load(ROOT).config)
    written = json.loads((project.directory / CONFIG).read_text("utf-8"))
    assert policy(written) == committed | {
        "img-src": committed["img-src"] | {urls["hosting"], urls["storage"]},
        "connect-src": committed["connect-src"] | {urls["auth"], urls["functions"], urls["firestore"]},
    }
    unchanged = headers(project.config) | {console.POLICY: ""}
    assert headers(written) | {console.POLICY: ""} == unchanged


def test_emulators_that_do_not_run_are_not_allowed() -> None:
    hosting = Project.load(ROOT).config["hosting"]
    written = {"hosting": console.with_emulators(hosting, {"auth": Port("auth", "127.0.0.1", 9)})}
    assert policy(written)["connect-src"] == {"'self'", *GOOGLE, "http://127.0.0.1:9"}
    assert policy(written)["img-src"] == {"'self'", STORAGE}


def test_every_answer_has_the_other_security_headers() -> None:
    config = Project.load(ROOT).config
    assert headers(config) | {console.POLICY: ""} == {
        console.POLICY: "",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }
    for source in ("/", "/console/**"):
        assert headers(config, source) == {"Cache-Control": "no-cache"}, "a deploy replaces the page and its bundle"


def test_page_has_no_inline_script_or_style_and_loads_nothing_from_elsewhere() -> None:
    page = (ROOT / "hosting" / "index.html").read_text("utf-8")
    assert re.findall(r'(?:src|href)="([^"]+)"', page) == [
        "/icon.svg",
        "/console/main.css",
        "/console/main.js",
        "/v1/catalog",
    ]
    assert "<style" not in page
    assert re.search(r"<script[^>]*>[^<]", page) is None
    assert re.search(r"\s(on\w+|style)=", page) is None


def test_build_is_small_and_leaves_the_source_alone(tmp_path: Path) -> None:
    (tmp_path / "console").symlink_to(ROOT / "console")
    console.build(tmp_path)
    built = {file.name: file for file in (tmp_path / console.OUTPUT).iterdir()}
    assert built.keys() == {"main.js", "main.js.map", "main.css", "main.css.map"}
    assert len(gzip.compress(built["main.js"].read_bytes())) < BUNDLE_BYTES_MAX
    assert "**/*.map" in Project.load(ROOT).config["hosting"]["ignore"], "source maps are not deployed"
    assert "@import" not in built["main.css"].read_text("utf-8")
    assert "url(" not in built["main.css"].read_text("utf-8")


def test_error_in_the_source_is_reported(tmp_path: Path) -> None:
    (tmp_path / "console").mkdir()
    (tmp_path / console.BUILD).write_text("console.error('unexpected token'); process.exitCode = 1")
    with pytest.raises(Problem, match="could not be built:\nunexpected token"):
        console.build(tmp_path)


def test_project_without_a_console_has_nothing_to_build(tmp_path: Path) -> None:
    console.build(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_deploy_builds_the_console() -> None:
    assert Project.load(ROOT).config["hosting"]["predeploy"] == [f"node {console.BUILD}"]
    ignored = subprocess.run(["git", "check-ignore", f"{console.OUTPUT}/main.js"], cwd=ROOT, check=False)
    assert ignored.returncode == 0, "the bundle is not committed"
