"""A stand-in for the rules runtime of the Storage emulator, on machines that cannot download it.

It speaks the runtime's protocol, a JSON object per line, and denies whatever the rules would have to decide. The server
client of the functions and the URLs with a token need no decision, so images are stored and served as usual.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

NOTE = (
    "storage.rules are not evaluated, and every client is denied (their runtime is not in the Firebase CLI's cache, "
    "and its download cannot be reached). Images are stored, and their URLs work."
)
_RULES_VERSION = 2
_READY = -1
"""The id of the message that tells the CLI that the runtime is ready."""


def install(directory: Path, runtime: Path, jar: str, cache: Path) -> dict[str, str]:
    """Write the stand-in to ``directory``. Return the environment variables that make the Firebase CLI use it.

    ``runtime`` is the real Java, ``jar`` is the name of the runtime's file, and ``cache`` is the CLI's cache.
    """
    binaries = directory / "bin"
    binaries.mkdir(parents=True, exist_ok=True)
    for entry in cache.iterdir() if cache.is_dir() else ():
        with suppress(FileExistsError):  # from an earlier start, or from another one at the same time
            (directory / entry.name).symlink_to(entry)
    (directory / jar).touch()
    java = binaries / "java"
    lines = [
        "#!/bin/sh",
        f'case "$*" in *{jar}*) exec {shlex.quote(sys.executable)} {shlex.quote(str(Path(__file__)))} ;; esac',
        f'exec {shlex.quote(str(runtime))} "$@"',
        "",
    ]
    temporary = java.with_suffix(f".{os.getpid()}")
    temporary.write_text("\n".join(lines), "utf-8")
    temporary.chmod(0o755)
    temporary.replace(java)
    return {"FIREBASE_EMULATORS_PATH": str(directory), "PATH": str(binaries)}


def answers(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the answer to each request of the CLI, after the message that the runtime is ready."""
    yield _answer(_READY, {})
    for line in lines:
        request = json.loads(line)
        loads = request["action"] == "load_ruleset"
        yield _answer(request["id"], {"rulesVersion": _RULES_VERSION} if loads else {"permit": False})


def _answer(id: int, result: dict[str, Any]) -> dict[str, Any]:
    return {"id": id, "status": "ok", "errors": [], "warnings": [], "result": result}


def main() -> None:
    try:
        for answer in answers(sys.stdin):
            print(json.dumps(answer), flush=True)
    except KeyboardInterrupt:
        pass  # the CLI stops the runtime this way


if __name__ == "__main__":
    main()
