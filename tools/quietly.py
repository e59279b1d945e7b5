"""Run a command quietly: show a dot each second while it runs, and its output if it fails.

`make` runs the installation with this module, so it imports the standard library only.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence

_DOT_SECONDS = 1
_INTERRUPTED_SECONDS = 3


def run(command: Sequence[str]) -> int:
    """Run the command and return its exit code, or 128 plus the signal that ended it, as a shell does."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            code = _wait(process)
        except KeyboardInterrupt:
            # Ctrl-C interrupts the command as well, but npm would go on for half a minute.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_INTERRUPTED_SECONDS)
            process.kill()
            process.wait()
            raise
        if code:
            output.seek(0)
            text = output.read().decode(errors="replace")
            print(f"\n{' '.join(command)}\nfailed with exit code {code}:\n{text}", file=sys.stderr, flush=True)
    return code


def _wait(process: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            code = process.wait(_DOT_SECONDS)
        except subprocess.TimeoutExpired:
            print(".", end="", flush=True)
        else:
            return code if code >= 0 else 128 - code


def main(arguments: Sequence[str]) -> int:
    """Run a command. Return its exit code, or die from Ctrl-C."""
    try:
        return run(arguments)
    except KeyboardInterrupt:
        # A shell continues with its next command unless this process died from the signal.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
        raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
