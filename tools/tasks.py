"""A queue that delivers nothing by itself, for seeds and tests."""

from dataclasses import dataclass, field
from datetime import datetime

from imagegen.queue import QueueUnavailable


@dataclass
class TaskList:
    """What has been put into which queue, oldest first; out of reach while ``down``."""

    put_so_far: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    down: bool = False

    def put(self, queue: str, task: dict[str, str], not_before: datetime | None = None) -> None:
        if self.down:
            raise QueueUnavailable("down")
        self.put_so_far.append((queue, task))
