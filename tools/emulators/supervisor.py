"""Runs a command, shuts it down in order when asked to stop, and leaves no process behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import IO

from tools.emulators.processes import Descendants

_POLL_SECONDS = 0.2
_ORDERLY_STOP_SECONDS = 20
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def run(command: Sequence[str], environment: Mapping[str, str], edit: Callable[[str], str]) -> int:
    """Run a command until it ends, or until a request to stop: a signal, our parent's death or a closed stdout.

    Print each line of its output as `edit` returns it. On a request to stop, send the command one SIGINT and wait until
    it ends, at most 20 seconds or until a second signal. Then kill the remaining descendants. Return 0 after a request
    to stop, else the command's exit code.
    """
    stop = _StopRequests()
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A terminal sends Ctrl-C to all its foreground processes. In its own session, the command
        # gets only the interrupt that we send.
        start_new_session=True,
    )
    assert process.stdout is not None
    descendants = Descendants(process)
    forwarder = threading.Thread(target=_forward, args=(process.stdout, edit, stop), daemon=True)
    forwarder.start()
    try:
        while process.poll() is None and not stop.requested():
            descendants.watch()
            time.sleep(_POLL_SECONDS)
        descendants.look()
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            deadline = time.monotonic() + _ORDERLY_STOP_SECONDS
            while process.poll() is None and stop.signals < 2 and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS / 4)
    finally:
        descendants.kill()
        forwarder.join(timeout=2)
    return 0 if stop.requested() else process.wait()


class _StopRequests:
    """The requests to stop: signals, the parent's death and a closed stdout."""

    def __init__(self) -> None:
        self.signals = 0
        self.output_failed = False
        self._parent = os.getppid()
        self._stdout = select.poll()
        self._stdout.register(sys.stdout.fileno(), 0)
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.signals += 1

    def requested(self) -> bool:
        return self.signals > 0 or os.getppid() != self._parent or self._stdout_is_closed()

    def _stdout_is_closed(self) -> bool:
        # A closed terminal signals the leader of its session, which may not pass the signal on to us.
        events = [event for _, event in self._stdout.poll(0)]
        return self.output_failed or any(event & (select.POLLERR | select.POLLHUP) for event in events)


def _forward(output: IO[bytes], edit: Callable[[str], str], stop: _StopRequests) -> None:
    for line in output:
        try:
            sys.stdout.buffer.write(edit(line.decode(errors="surrogateescape")).encode(errors="surrogateescape"))
            sys.stdout.buffer.flush()
        except OSError:
            # Discard further output. Otherwise, the command could block on a full pipe while it shuts
            # down, and our exit could fail to flush stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            stop.output_failed = True
