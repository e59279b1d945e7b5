"""Fakes of the backend's ports, for tests, benchmarks and the sample data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from imagegen.domain.limits import Limits
from imagegen.ports.auth_accounts import AuthUnavailable
from imagegen.ports.image_generator import Job
from imagegen.ports.object_store import ObjectStoreUnavailable
from imagegen.ports.task_queue import QueueUnavailable
from imagegen.ports.webhook_sender import Answer

NO_LIMITS = Limits(
    burst=1_000_000,
    per_minute=1_000_000,
    concurrent=1_000_000,
    canceled_runs_per_day=1_000_000,
    calls_per_minute=1_000_000,
    resends_per_hour=1_000_000,
)
"""Limits that no test reaches."""

NO_LIMITS_SETTINGS = {
    "RATE_LIMIT_BURST": str(NO_LIMITS.burst),
    "RATE_LIMIT_PER_MINUTE": str(NO_LIMITS.per_minute),
    "MAX_RUNNING_REQUESTS": str(NO_LIMITS.concurrent),
    "CANCELED_RUNS_PER_DAY": str(NO_LIMITS.canceled_runs_per_day),
    "CALLS_PER_MINUTE": str(NO_LIMITS.calls_per_minute),
    "RESENT_WEBHOOKS_PER_HOUR": str(NO_LIMITS.resends_per_hour),
}
"""The same limits, as parameters of the functions."""


class ManualClock:
    """A clock that moves only when ``at`` is set or ``sleep`` is called."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class TaskList:
    """A task queue that records tasks, oldest first, and delivers none. It is unreachable while ``down``.

    Like the queue of the emulator, it never forgets a name.
    """

    put_so_far: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    down: bool = False

    def put(self, queue: str, task: dict[str, str], name: str, not_before: datetime | None = None) -> bool:
        if self.down:
            raise QueueUnavailable("down")
        if name in self.names:
            return False
        self.names.add(name)
        self.put_so_far.append((queue, task))
        return True


FILES_MAX = 100
"""The most files of a folder that the store deletes at once, as in Cloud Storage."""


class AcceptingSender:
    """A webhook sender whose receivers accept every webhook."""

    def send(self, url: str, body: str, headers: Mapping[str, str]) -> Answer:
        return Answer(200)


@dataclass
class FileStore:
    """An object store in memory. It is unreachable while ``down``."""

    files: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    """The content of each file, and the tokens that permit its download, by path."""
    down: bool = False

    def bucket_url(self) -> str:
        return "https://storage.example.com/v0/b/bucket/o"

    def put(self, path: str, content: bytes, token: str, content_type: str) -> None:
        if self.down:
            raise ObjectStoreUnavailable("down")
        self.files[path] = (content, token)

    def permit(self, path: str, *tokens: str) -> None:
        if self.down:
            raise ObjectStoreUnavailable("down")
        self.files[path] = (self.files[path][0], ",".join(tokens))

    def delete(self, folder: str) -> bool:
        if self.down:
            raise ObjectStoreUnavailable("down")
        found = [path for path in self.files if path.startswith(f"{folder}/")]
        for path in found[:FILES_MAX]:
            del self.files[path]
        return len(found) < FILES_MAX


@dataclass
class AuthAccountList:
    """The accounts that users sign in with. It records which were deleted, and is unreachable while ``down``."""

    deleted: list[str] = field(default_factory=list)
    down: bool = False

    def get(self, user_id: str) -> Mapping[str, Any] | None:
        if self.down:
            raise AuthUnavailable("down")
        return None if user_id in self.deleted else {"email": f"{user_id}@example.com", "phoneNumber": None}

    def delete(self, user_id: str) -> None:
        if self.down:
            raise AuthUnavailable("down")
        self.deleted.append(user_id)


class ImmediateGenerator:
    """A provider that returns an image at once."""

    is_stuck = False

    def check(self, options: Mapping[str, Any]) -> None:
        """Accept all options."""

    def generate(self, job: Job) -> str:
        return f"https://images.example.com/{job.request_id}.png"
