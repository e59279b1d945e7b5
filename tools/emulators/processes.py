"""Ends processes with everything that they started."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict

import psutil


class ProcessTree:
    """A process and every descendant that was ever seen of it.

    The Firebase CLI starts some processes in sessions of their own, so signalling its process
    group is not enough; and a descendant whose parent has died cannot be found any more, so
    look() has to be called while the tree is alive. psutil compares start times, so that a
    process which got the id of a dead one is left alone.
    """

    def __init__(self, pid: int) -> None:
        self._seen = {psutil.Process(pid)}

    def look(self) -> list[psutil.Process]:
        """The living part of the tree; what is new in it is remembered."""
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
        return [process for process in self._seen if _is_alive(process)]

    def kill(self, timeout_seconds: float = 5) -> None:
        """Kills what is left of the tree, and returns when it is gone."""
        deadline = time.monotonic() + timeout_seconds
        while (left := self.look()) and time.monotonic() < deadline:
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            time.sleep(0.02)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
