"""`make start`: finds what the emulators need, runs `firebase emulators:start`, and stops all its processes.

It passes its arguments to the Firebase CLI, and runs in the current directory.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from tools.emulators import binaries, console, java, storage_rules
from tools.emulators.log_file import LogFile
from tools.emulators.ports import STRIPE, Port, free_ports
from tools.emulators.project import Problem, Project
from tools.emulators.supervisor import run

READY = "All emulators ready"
NOT_LOADED = "Failed to load function definition"
CONFIG = ".firebase.start.json"
SEED = "emulator-seed"
REGION = "us-central1"

_LAZY_VALIDATION = Path(__file__).with_name("lazy_validation.cjs")
_OVERVIEW_END = "Issues? Report them at"
_LEFT_OUT = {
    "pubsub": "the Pub/Sub emulator (it is not installed, and its download cannot be reached). The CLI will "
    "report scheduled functions as ignored, but you can still trigger them over HTTP.",
    "ui": "the Emulator UI (it is not in the Firebase CLI's cache, and its download cannot be reached).",
}
# Warnings on which you need not act, from the CLI and from the Flask server that it uses to list the functions.
_NOISE = (
    "Env variable override detected",  # we set these variables ourselves
    "Unable to fetch the CLI MOTD",
    "The Emulator UI is not starting",  # we print this ourselves
    "Tip: There are .env files present",
    "This is a development server",
    "Press CTRL+C to quit",
)
_DEMO_NOISE = ("You are not currently authenticated",)
_TITLES = {
    "hosting": "Console",
    "ui": "Emulator UI",
    "functions": "Functions",
    "rest": "REST API",
    "firestore": "Firestore",
    "auth": "Auth",
    "storage": "Storage",
    STRIPE: "Stripe",
}
_EXAMPLE = {
    "userId": "user-100",
    "model": "Model A",
    "style": "anime",
    "color": "neon",
    "size": "512x512",
    "prompt": "a lighthouse at dusk",
}


@dataclass(frozen=True)
class Launch:
    """A command that is ready to run, and the ports of its emulators."""

    project: Project
    command: list[str]
    environment: dict[str, str]
    ports: dict[str, Port]

    def stripe(self) -> AbstractContextManager[object]:
        """Return the emulator of Stripe, to be entered, or nothing where Stripe is not emulated."""
        if STRIPE not in self.ports:
            return nullcontext()
        from tools.stripe_emulator.emulator import StripeEmulator  # takes a second, and is not always needed

        parameters = self.project.parameters()
        return StripeEmulator(
            f"http://{self.ports['functions']}/{self.project.id}/{REGION}/stripeWebhook",
            port=self.ports[STRIPE].number,
            secret_key=parameters["STRIPE_SECRET_KEY"],
            webhook_secrets=parameters["STRIPE_WEBHOOK_SECRET"].replace(",", " ").split(),
            report=_report,
        )

    def summary(self) -> str:
        """Return the addresses of the emulators, and a first request to paste."""
        urls = {name: f"http://{port}" for name, port in self.ports.items()}
        if "functions" in urls:
            urls["functions"] += f"/{self.project.id}/{REGION}"
            urls["rest"] = f"{urls.get('hosting', urls['functions'] + '/api')}/v1/catalog"
        lines = [f"  {title:<12} {urls[name]}" for name, title in _TITLES.items() if name in urls]
        if {"functions", "firestore"} <= urls.keys():
            url = f"{urls['functions']}/createGenerationRequest"
            body = json.dumps({"data": _EXAMPLE})
            lines += ["", "Try it:", ""]
            lines += [f"curl -s {url} -H 'content-type: application/json' -d '{body}'"]
        return "\n".join(["", *lines, "", "Press Ctrl-C to stop. The next start loads the sample data again.", "", ""])


def prepare(project: Project, arguments: Sequence[str]) -> Launch:
    """Find what the emulators need, and leave out optional emulators that cannot be found.

    Hosting gets another port if its own is in use. Raises Problem if something required is missing or the port of
    another emulator is in use.
    """
    options = _options(arguments)
    wanted = _wanted(project, options.only)
    found = _find(wanted)
    left_out = {name: reason for name, reason in _LEFT_OUT.items() if name in wanted - found.keys()}
    ports = {name: port for name, port in project.ports().items() if name in wanted - left_out.keys()}
    for name, port in list(ports.items()):
        if not port.is_free():
            if name != "hosting":
                raise Problem(_port_taken(port))
            # On macOS, AirPlay uses Hosting's default port.
            ports[name] = replace(port, number=free_ports(1)[0])
            print(f"hosting: on port {ports[name].number}, because port {port.number} is in use{_holder(port)}")
    running = wanted - left_out.keys()
    environment = _environment()
    if "hosting" in ports:
        environment["PUBLIC_BASE_URL"] = f"http://{ports['hosting']}"
    for name, emulator in found.items():
        print(f"{name}: {emulator}")
        environment |= emulator.environment()
    if running & {"firestore", "pubsub", "storage"}:
        runtime = java.require()
        print(f"java: {runtime.executable} ({runtime.version})")
        environment |= runtime.environment()
        if "storage" in running - found.keys():
            environment |= _without_storage_rules(runtime, environment["PATH"])

    command = [*_cli(running), "emulators:start"]
    print("".join(f"left out: {reason}\n" for _, reason in sorted(left_out.items())), end="")
    _write_config(project, left_out.keys(), ports)
    command += ["--config", CONFIG]
    if not options.imports and (project.directory / SEED).is_dir():
        command.append(f"--import={SEED}")
    elif not options.imports:
        print(f"starting without data: there is no {SEED} directory (`make seed` writes it)")
    return Launch(project, [*command, *arguments], environment, ports)


def _cli(running: Collection[str]) -> list[str]:
    """Return the command of the Firebase CLI, which starts the Auth emulator faster than on its own."""
    return ["node", "--require", str(_LAZY_VALIDATION), str(binaries.CLI)] if "auth" in running else [str(binaries.CLI)]


def _without_storage_rules(runtime: java.Java, path: str) -> dict[str, str]:
    """Return the environment that runs the Storage emulator without its rules runtime, and say so."""
    print(f"storage: {storage_rules.NOTE}")
    stand_in = binaries.storage_rules_stand_in(runtime.executable)
    return {**stand_in, "PATH": os.pathsep.join([stand_in["PATH"], path])}


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the Firebase CLI's options that affect which emulators and data we prepare."""
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument("--only", type=lambda names: names.split(","))
    parser.add_argument("--import", dest="imports", nargs="?", const=True)
    return parser.parse_known_args(arguments)[0]


def _wanted(project: Project, only: list[str] | None) -> set[str]:
    """Return the emulators in firebase.json, or only those that --only selects. Stripe's goes with the functions."""
    names = {name for name, settings in project.emulators.items() if isinstance(settings, dict)}
    names |= project.ports().keys() & {STRIPE}
    if project.emulators.get("ui", {}).get("enabled") is False:
        names.discard("ui")
    if only is None:
        return names
    selected = {name.split(":")[0] for name in only}
    return names & {"hub", "ui", *selected, *({STRIPE} if "functions" in selected else ())}


def _find(wanted: set[str]) -> dict[str, binaries.Emulator]:
    """Find the wanted emulators that are not part of the CLI. Leave out optional ones that cannot be found."""
    found = {name: binaries.find(name) for name in {*_LEFT_OUT, "storage"} & wanted}
    if "firestore" in wanted:
        found["firestore"] = binaries.require_firestore()
    return {name: emulator for name, emulator in sorted(found.items()) if emulator}


def _environment() -> dict[str, str]:
    environment = {
        **os.environ,
        "NO_UPDATE_NOTIFIER": "1",
        # Looking for Google Cloud's metadata server takes seconds and prints a page of warnings.
        "METADATA_SERVER_DETECTION": "none",
        # In seconds. The default of ten is too short for a cold disk or a busy machine.
        "FUNCTIONS_DISCOVERY_TIMEOUT": "60",
    }
    # The functions must import from their own venv only.
    environment.pop("PYTHONPATH", None)
    if sys.stdout.isatty() and "NO_COLOR" not in environment:
        environment["FORCE_COLOR"] = "1"
    return environment


def _write_config(project: Project, left_out: Collection[str], ports: Mapping[str, Port]) -> None:
    """Write the project's configuration without the emulators that are left out, and with these ports."""
    section = {name: value for name, value in project.emulators.items() if name not in left_out}
    for name in section.keys() & ports.keys():
        section[name] = {**section[name], "port": ports[name].number}
    if "ui" in left_out:
        section["ui"] = {"enabled": False}
    hosting = console.with_emulators(project.config.get("hosting", {}), ports)
    content = json.dumps({**project.config, "hosting": hosting, "emulators": section}, indent=2)
    (project.directory / CONFIG).write_text(content, encoding="utf-8")


def _port_taken(port: Port) -> str:
    return (
        f"Port {port.number} of the {port.emulator} emulator is in use{_holder(port)}. "
        f"Stop that process (another `make start`?), or change {port.setting}."
    )


def _holder(port: Port) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            address = connection.laddr
            if connection.status == psutil.CONN_LISTEN and address and address.port == port.number:
                process = psutil.Process(connection.pid)
                return f" by process {process.pid} ({' '.join(process.cmdline())[:80]})"
    except psutil.Error:
        pass  # On some systems, only the administrator may list connections.
    return ""


def _report(line: str) -> None:
    with suppress(OSError):  # the terminal is closed
        print(f"{STRIPE}: {line}", flush=True)


class _Screen:
    """Filters the CLI's output, and adds the summary when all emulators are ready."""

    def __init__(self, launch: Launch) -> None:
        self._summary = launch.summary()
        self._noise = _NOISE + (_DEMO_NOISE if launch.project.id.startswith("demo-") else ())
        self._ready = False
        self._log = LogFile(launch.project.directory)
        self._log.clear()

    def edit(self, line: str) -> str:
        """Return the text to show for a line of the CLI's output, and keep the line if the functions logged it."""
        self._log.add(line)
        if any(noise in line for noise in self._noise):
            return ""
        if NOT_LOADED in line:
            self._summary = "\nThe functions could not be loaded. See the error above.\n\n"
        self._ready = self._ready or READY in line
        return line + self._summary if self._ready and _OVERVIEW_END in line else line


def main(arguments: Sequence[str]) -> int:
    """Run the emulators. Return 0 after a requested stop, 1 for a Problem, else the CLI's exit code."""
    try:
        launch = prepare(Project.load(Path.cwd()), arguments)
        if "hosting" in launch.ports:
            console.build(launch.project.directory)
        stripe = launch.stripe()
    except Problem as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    with stripe:
        return run(launch.command, launch.environment, _Screen(launch).edit)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
