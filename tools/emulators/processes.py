"""Finds all descendants of this process, kills them at the end, and ends the functions that the CLI has left."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import psutil

_PR_SET_CHILD_SUBREAPER = 36
_REST_PER_LOOK = 500
_REST_PER_LOOK_WITHOUT_ADOPTION = 100
_FUNCTION = "functions-framework"


class Descendants:
    """The descendants of this process: `command`, its children, their children, and so on.

    The Firebase CLI starts some processes in sessions of their own, so signalling its process group is not enough.
    When a descendant's parent dies, this process becomes its parent on Linux. Elsewhere init does, and the descendant
    is found only if it was seen before. psutil compares start times, so a process that got the id of a dead one is
    left alone.
    """

    def __init__(self, command: subprocess.Popen[bytes]) -> None:
        self._command = command
        self._this = psutil.Process()
        self._seen = {self._this}
        self._adopts_orphans = _adopt_orphans()
        self._next_look = 0.0

    def watch(self) -> None:
        """Keep track of the descendants, and end unused functions. Call it often: it takes at most 1 % of the time."""
        if self._adopts_orphans:
            self._reap_orphans()
        if time.monotonic() >= self._next_look:
            start = time.monotonic()
            self._end_unused_functions()
            end = time.monotonic()
            rest = _REST_PER_LOOK if self._adopts_orphans else _REST_PER_LOOK_WITHOUT_ADOPTION
            self._next_look = end + rest * (end - start)

    def look(self) -> list[psutil.Process]:
        """Return the living descendants, and remember them."""
        children = defaultdict(list)
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess):
                children[process.ppid()].append(process)
        self._seen = {process for process in self._seen if _is_alive(process)}
        unvisited = list(self._seen)
        while unvisited:
            new = [child for child in children[unvisited.pop().pid] if child not in self._seen]
            self._seen.update(new)
            unvisited += new
        return [process for process in self._seen if process != self._this and _is_alive(process)]

    def kill(self, timeout_seconds: float = 5) -> None:
        """Kill all descendants, and return when they are gone."""
        deadline = time.monotonic() + timeout_seconds
        while (left := self.look()) and time.monotonic() < deadline:
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.02)

    def _end_unused_functions(self) -> None:
        """Ask each function whose shell has ended to end. It has 30 seconds for the calls that it has begun.

        The CLI starts each function from a shell. After an edit of the code, it ends only the shell, and starts another
        one for the next call.
        """
        living = self.look()
        pids = {process.pid for process in living}
        for process in living:
            with contextlib.suppress(psutil.Error):
                if process.ppid() not in pids and _is_function(process):
                    process.terminate()

    def _reap_orphans(self) -> None:
        """Release the entries of adopted processes that ended, but not the command's: its exit code is waited for."""
        if sys.platform == "linux":
            with contextlib.suppress(ChildProcessError):
                while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    if ended.si_pid == self._command.pid:
                        break
                    os.waitpid(ended.si_pid, 0)


def _adopt_orphans() -> bool:
    """Make this process the parent of its descendants' orphans. Return False if the system cannot do that."""
    if sys.platform != "linux":
        return False
    failed: int = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return not failed


def _is_function(process: psutil.Process) -> bool:
    """Tell whether the process runs the script of the Functions Framework, with or without its interpreter."""
    return any(Path(part).name == _FUNCTION for part in process.cmdline()[:2])


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
