"""Killing the functions' processes with SIGKILL during calls, under the real Firebase CLI."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psutil
import requests

from tests.support.live import Live
from tests.support.scale import scaled

CALLS_AT_ONCE = scaled(2, 4)
CUT_OFF_AFTER_SECONDS = 10
"""Many times the duration of a call. The CLI never ends a response whose process died after sending the headers."""


def call_and_kill(
    live: Live, function: str, calls: Sequence[Callable[[], object]], kill_after_seconds: Sequence[float]
) -> None:
    """Make the calls concurrently, and kill one of the function's processes after each number of seconds."""
    # Kill only processes that are ready: if one dies while it starts, the CLI waits for it for a minute.
    ready = processes(live, function)
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        began = time.monotonic()
        running = [pool.submit(call) for call in calls]
        for seconds, process in zip(sorted(kill_after_seconds), ready, strict=False):
            time.sleep(max(0.0, began + seconds - time.monotonic()))
            kill(process)
    for call in running:
        call.result()
    # Once the CLI has noticed the end of a process, it starts a new one for the next call.
    _, unnoticed = psutil.wait_procs(ready[: len(kill_after_seconds)], timeout=10)
    assert not unnoticed


def warm_up(live: Live, function: str, call: Callable[[], object], at_once: int = CALLS_AT_ONCE) -> None:
    """Start a process for each of so many calls at once, each with its own port.

    The CLI chooses a port long before the process binds it. If two processes get the same port, even from another
    suite, one of them answers for both. Raises AssertionError if that happens five times.
    """
    for _ in range(5):
        call_and_kill(live, function, [call] * at_once, [])
        without_port = [process for process in processes(live, function) if not has_its_port(process)]
        if not without_port:
            return
        for process in without_port:
            kill(process)
        psutil.wait_procs(without_port, timeout=10)
    raise AssertionError("a process without its own port was left after five attempts")


def has_its_port(shell: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        port = int(shell.environ()["PORT"])
        servers = shell.children(recursive=True)
        connections = [connection for server in servers for connection in server.net_connections("tcp")]
        return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections)
    return False


def processes(live: Live, function: str) -> list[psutil.Process]:
    """Return the shells in which the CLI runs a function. The server is a child of its shell."""
    launcher = psutil.Process(live.suite.process.pid)  # also becomes the parent of processes that the CLI leaves behind
    [cli] = [child for child in launcher.children() if name_of(child) == "node"]
    found = []
    for process in cli.children():
        with suppress(psutil.NoSuchProcess):
            if process.environ().get("FUNCTION_TARGET") == function:
                found.append(process)
    return found


def name_of(process: psutil.Process) -> str | None:
    """Return the name of a process, or None if it has ended."""
    with suppress(psutil.NoSuchProcess):
        return process.name()
    return None


def kill(shell: psutil.Process) -> None:
    """Kill a server and its worker without running any handler, as the out-of-memory killer does."""
    with suppress(psutil.NoSuchProcess):
        # The parents first, because a living server would replace its worker.
        for process in (shell, *shell.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def kill_all(live: Live, function: str) -> None:
    """Kill all processes of a function, and wait until they have ended."""
    running = processes(live, function)
    for process in running:
        kill(process)
    _, unnoticed = psutil.wait_procs(running, timeout=10)
    assert not unnoticed


def attempt(live: Live, function: str, **arguments: Any) -> requests.Response | None:
    """Make a call whose process may be killed. Return its response, or None if the connection broke."""
    with suppress(requests.RequestException):
        return requests.post(f"{live.suite.functions_url}/{function}", timeout=CUT_OFF_AFTER_SECONDS, **arguments)
    return None
