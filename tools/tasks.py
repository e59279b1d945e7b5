"""A queue that delivers nothing by itself, for seeds and tests."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class TaskList:
    """What has been put into which queue, oldest first."""

    put_so_far: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def put(self, queue: str, task: dict[str, str], not_before: datetime | None = None) -> None:
        self.put_so_far.append((queue, task))
