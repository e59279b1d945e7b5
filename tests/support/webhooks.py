"""A fake queue and a fake receiver of webhooks, on a test's clock."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from imagegen.ports.webhook_sender import Answer
from tests.support.api import Api
from tools.fakes import ManualClock, TaskList


class TimedTaskList(TaskList):
    """A task list that records when each task may be delivered."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[datetime | None] = []

    def put(self, queue: str, task: dict[str, str], name: str, not_before: datetime | None = None) -> bool:
        is_new = super().put(queue, task, name, not_before)
        if is_new:
            self.times.append(not_before)
        return is_new

    @property
    def webhooks(self) -> list[tuple[datetime, dict[str, str]]]:
        """The tasks of webhooks with their times, oldest first."""
        return [
            (time, task)
            for time, (queue, task) in zip(self.times, self.put_so_far, strict=True)
            if queue in ("deliverWebhook", "retryWebhook") and time is not None
        ]


@dataclass
class Receiver:
    """A fake webhook sender. It returns the next of ``answers``, and repeats the last one indefinitely."""

    clock: ManualClock
    answers: list[int | Answer | Exception] = field(default_factory=lambda: [204])
    received: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None

    def send(self, url: str, body: str, headers: Mapping[str, str]) -> Answer:
        self.received.append((url, body, dict(headers)))
        self.clock.sleep(0.25)
        self.meanwhile()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer) if isinstance(answer, int) else answer


def deliver(api: Api, queue: TimedTaskList, number: int = -1) -> int:
    """Deliver a webhook task, by default the newest. Return the HTTP status that the queue gets."""
    _, task = queue.webhooks[number]
    return api.call("deliverWebhook", task).status_code
