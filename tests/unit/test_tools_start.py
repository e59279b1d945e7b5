"""Tests of `make start` up to the command that it would run."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from tools.emulators import binaries, java, start
from tools.emulators.project import ROOT, Problem, Project
from tools.emulators.suite import workspace
from tools.stripe_emulator.emulator import StripeEmulator

EMULATORS = {
    name: binaries.Emulator(name, "Google Cloud CLI", Path("/sdk") / name)
    for name in ("firestore", "pubsub", "storage", "ui")
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project with free ports, on a machine with every emulator and Java."""
    install(monkeypatch, *EMULATORS)
    monkeypatch.setattr(java, "require", lambda: java.Java(Path("/jdk"), "25"))
    return Project.load(workspace(tmp_path / "project", seed=None))


def install(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(binaries, "find", lambda name: EMULATORS[name] if name in names else None)


def test_cli_uses_every_emulator_that_is_found(project: Project) -> None:
    launch = start.prepare(project, [])
    assert launch.command[-4:] == [str(binaries.CLI), "emulators:start", "--config", start.CONFIG]
    assert launch.environment["FIRESTORE_EMULATOR_BINARY_PATH"] == "/sdk/firestore"
    assert launch.environment["PUBSUB_EMULATOR_BINARY_PATH"] == "/sdk/pubsub"
    assert launch.environment["PATH"].startswith("/jdk/bin:")
    written = json.loads((project.directory / start.CONFIG).read_text())
    assert written == {**project.config, "hosting": written["hosting"]}


WITH_AN_INVALID_PATTERN = """
const parameters = [{ name: "name", in: "query", schema: { type: "string", pattern: "(" } }];
const paths = { "/path": { get: { parameters, responses: { 200: { description: "an answer" } } } } };
const document = { openapi: "3.0.0", info: { title: "a title", version: "1" }, paths };
require("exegesis-express").middleware(document, { controllers: {} }).then(() => console.log("ready"));
"""
"""A server of a document, made as in the CLI. Compiling the validator of its parameter fails."""


def test_auth_emulator_does_not_compile_validators_at_the_start(project: Project) -> None:
    command = start.prepare(project, ["--only", "auth"]).command
    node = command[: command.index(str(binaries.CLI))]
    run = subprocess.run(
        [*node, "--eval", WITH_AN_INVALID_PATTERN], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout == "ready\n"


def test_bare_cli_does_not_download_the_rules_runtime() -> None:
    config = json.loads((ROOT / "firebase.json").read_text())
    assert "storage" not in config.keys() | config["emulators"].keys()


def test_storage_emulator_runs_without_its_rules_runtime(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The CLI finds a stand-in in its cache, and a Java that starts it."""
    install(monkeypatch, "firestore", "pubsub", "ui")
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "ui-v1").touch()
    monkeypatch.setattr(binaries, "LOCAL", tmp_path / "local")
    monkeypatch.setenv("FIREBASE_EMULATORS_PATH", str(cache))
    launch = start.prepare(project, [])
    assert "storage.rules are not evaluated" in capsys.readouterr().out
    directory = Path(launch.environment["FIREBASE_EMULATORS_PATH"])
    jar = directory / "cloud-storage-rules-runtime-v1.1.3.jar"
    assert jar.exists()
    assert (directory / "ui-v1").exists()
    java = launch.environment["PATH"].split(os.pathsep)[0] + "/java"
    requests = [{"action": "load_ruleset", "id": 0, "context": {}}, {"action": "verify", "id": 1, "context": {}}]
    run = subprocess.run(
        [java, "-jar", str(jar), "serve"],
        input="".join(json.dumps(request) + "\n" for request in requests),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    ready, loaded, verified = map(json.loads, run.stdout.splitlines())
    assert (ready["id"], loaded["id"], verified["id"]) == (-1, 0, 1)
    assert loaded["result"] == {"rulesVersion": 2}
    assert verified["result"] == {"permit": False}


def test_missing_emulators_are_left_out_with_a_line_each(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(monkeypatch, "firestore", "storage")
    launch = start.prepare(project, [])
    assert launch.command[-2:] == ["--config", start.CONFIG]
    config = json.loads((project.directory / start.CONFIG).read_text())
    expected = {**project.emulators, "ui": {"enabled": False}}
    del expected["pubsub"]
    assert config == {**project.config, "emulators": expected, "hosting": config["hosting"]}
    assert "Emulator UI" not in launch.summary()
    output = capsys.readouterr().out
    assert output.count("left out: ") == 2
    assert "left out: the Pub/Sub emulator" in output
    assert "left out: the Emulator UI" in output


def test_only_option_limits_the_emulators(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "ui")
    for arguments in (["--only", "auth,functions"], ["--only=auth,functions:default"]):
        launch = start.prepare(project, arguments)
        assert launch.ports.keys() == {"auth", "functions", "hub", "stripe", "ui"}
        assert "curl" not in launch.summary(), "there would be no database"


def test_seed_is_imported_unless_it_is_missing_or_import_is_given(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert start.prepare(project, []).command[-2:] == ["--config", start.CONFIG]
    assert "no emulator-seed directory" in capsys.readouterr().out
    (project.directory / "emulator-seed").mkdir()
    assert start.prepare(project, []).command[-1:] == ["--import=emulator-seed"]
    assert start.prepare(project, ["--import=other"]).command[-1:] == ["--import=other"]
    assert start.prepare(project, ["--import", "other"]).command[-2:] == ["--import", "other"]


def test_port_in_use_raises_with_its_purpose_process_and_remedy(project: Project) -> None:
    taken = project.ports()["functions"]
    with socket.create_server((taken.host, taken.number)), pytest.raises(Problem) as problem:
        start.prepare(project, [])
    message = str(problem.value)
    assert f"Port {taken.number} of the functions emulator is in use" in message
    assert f"by process {os.getpid()} (" in message
    assert "Stop that process (another `make start`?), or change the port in firebase.json" in message


def test_stripe_is_emulated_where_payments_are_on_and_name_this_machine(project: Project) -> None:
    local = project.directory / "functions" / ".env.local"
    launch = start.prepare(project, [])
    assert f"  Stripe       http://{project.ports()['stripe']}\n" in launch.summary()
    assert "stripe" not in json.loads((project.directory / start.CONFIG).read_text())["emulators"]
    with launch.stripe() as stripe:
        assert isinstance(stripe, StripeEmulator)
        assert stripe.deliveries.url == f"http://{launch.ports['functions']}/demo-imagegen/us-central1/stripeWebhook"
        with pytest.raises(Problem, match=r"or change STRIPE_API_URL in functions/\.env\.local"):
            start.prepare(project, [])
    assert "stripe" not in start.prepare(project, ["--only", "auth,firestore"]).ports
    address = local.read_text()
    for settings in ("STRIPE_API_URL=", "STRIPE_API_URL=https://stripe.example", f"PAYMENTS_ENABLED=false\n{address}"):
        local.write_text(settings)
        launch = start.prepare(project, [])
        assert "stripe" not in launch.ports, settings
        with launch.stripe() as nothing:
            assert nothing is None


def test_hosting_gets_another_port_if_its_port_is_in_use(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """On macOS, AirPlay uses port 5000. The images of the models are on the site, so their URLs name the other port."""
    configured = project.ports()["hosting"]
    usual = start.prepare(project, [])
    assert usual.environment["PUBLIC_BASE_URL"] == f"http://{configured}"
    assert f"http://{configured}/v1/catalog\n" in usual.summary()
    with socket.create_server((configured.host, configured.number)):
        launch = start.prepare(project, [])
    port = json.loads((project.directory / start.CONFIG).read_text())["emulators"]["hosting"]["port"]
    assert port != configured.number
    assert launch.environment["PUBLIC_BASE_URL"] == f"http://127.0.0.1:{port}"
    assert f"http://127.0.0.1:{port}/v1/catalog\n" in launch.summary()
    reason = f"hosting: on port {port}, because port {configured.number} is in use by process {os.getpid()} ("
    assert reason in capsys.readouterr().out


def test_functions_do_not_get_pythonpath(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    assert "PYTHONPATH" not in start.prepare(project, []).environment


def test_missing_or_invalid_firebase_json_raises(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"firebase\.json does not exist"):
        Project.load(tmp_path)
    (tmp_path / "firebase.json").write_text("{,}")
    with pytest.raises(Problem, match="not valid JSON"):
        Project.load(tmp_path)


def test_workspaces_differ_from_the_project_only_in_their_ports(tmp_path: Path) -> None:
    configs = [json.loads((workspace(tmp_path / name) / "firebase.json").read_text()) for name in "ab"]
    emulator_sections = [config.pop("emulators") for config in configs]
    original = json.loads((ROOT / "firebase.json").read_text())
    del original["emulators"]
    assert configs == [original, original]
    ports = [
        settings[key]
        for section in emulator_sections
        for settings in section.values()
        for key in ("port", "websocketPort")
        if key in settings
    ]
    assert len(ports) == len(set(ports)) == 22


def test_workspace_does_not_copy_local_settings(tmp_path: Path) -> None:
    functions = tmp_path / "functions"
    (functions / "imagegen").mkdir(parents=True)
    for name in ("main.py", ".env", ".env.demo-imagegen", ".env.local", "imagegen/clock.py"):
        (functions / name).touch()
    copy = workspace(tmp_path / "project", functions=functions) / "functions"
    assert {path.name for path in copy.iterdir()} == {"main.py", ".env", ".env.demo-imagegen", ".env.local", "imagegen"}
    assert (copy / ".env.local").read_text().startswith("STRIPE_API_URL=http://127.0.0.1:")
    assert (copy / "imagegen" / "clock.py").is_file()


def test_workspace_seed_is_a_copy_because_the_cli_does_not_import_symlinks(tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    seed.mkdir()
    (seed / "firebase-export-metadata.json").touch()
    copy = workspace(tmp_path / "project", seed=seed) / start.SEED
    assert not copy.is_symlink()
    assert (copy / "firebase-export-metadata.json").is_file()


NOISE = """\
⚠  firestore: Env variable override detected. Using firestore emulator at /somewhere/firestore.jar
⚠  Unable to fetch the CLI MOTD and remote config. This is not a fatal error, but may indicate an issue with your \
network connection.
⚠  emulators: The Emulator UI is not starting because none of the running emulators have a UI component.
 * Tip: There are .env files present. Install python-dotenv to use them.
\033[31m\033[1mWARNING: This is a development server. Do not use it in a production deployment. Use a production WSGI \
server instead.\033[0m
\033[33mPress CTRL+C to quit\033[0m
⚠  emulators: You are not currently authenticated so some features may not work correctly. Please run firebase login \
to authenticate the CLI.
"""
SHOWN = """\
i  emulators: Starting emulators: auth, functions, firestore
⚠  functions: Your function timed out after ~60s.
✔  functions[us-central1-createGenerationRequest]: http function initialized (http://127.0.0.1:5001/…).
Error: Port 8080 is taken
>  Traceback (most recent call last):

"""


def shown(project: Project, output: str) -> str:
    edit = start._Screen(start.prepare(project, [])).edit
    return "".join(edit(line) for line in output.splitlines(keepends=True))


def test_only_irrelevant_warnings_are_hidden(project: Project) -> None:
    assert shown(project, NOISE) == ""
    assert shown(project, SHOWN) == SHOWN


def test_login_warning_is_shown_for_a_real_project(project: Project) -> None:
    hidden = shown(Project(project.directory, "a-real-project", project.config), NOISE)
    assert hidden == NOISE.splitlines(keepends=True)[-1]


def test_summary_follows_the_overview_of_the_cli(project: Project) -> None:
    output = f"{start.READY}! It is now safe to connect your app.\nIssues? Report them at …\n"
    assert shown(project, output).startswith(output + "\n  Console      http://")
    failed = f"⬢  functions: {start.NOT_LOADED} from source\n"
    assert shown(project, failed + output) == (
        failed + output + "\nThe functions could not be loaded. See the error above.\n\n"
    )
