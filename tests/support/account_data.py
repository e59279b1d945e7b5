"""An account that has data in every collection, and what is around it, for tests of its export and deletion."""

from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import Any

from PIL import Image

from imagegen.bootstrap import Backend
from imagegen.domain.ledger import Credits
from imagegen.domain.people import by_email
from imagegen.ports.database import Create
from imagegen.ports.image_generator import GeneratorFailed, Job, Picture
from imagegen.ports.webhook_sender import Unreachable
from tests.support.api import Api
from tests.support.backend import Provider
from tests.support.orders import order
from tests.support.stored import ThreadSafeStore
from tools.fakes import ManualClock, TaskList

USER = "person-7"
MARK = "marmalade"
"""A word in everything that the user wrote, chose or got."""

TRIAL = Credits(trial=10)


class ProcessDied(BaseException):
    """A crash of the process, which no handler catches."""


class FailingSender:
    """A webhook sender whose receivers cannot be reached. An attempt takes some seconds."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.sent: list[str] = []

    def send(self, url: str, body: str, headers: Any) -> Any:
        self.sent.append(body)
        self.clock.sleep(5)
        raise Unreachable("down")


def picture(_job: Job) -> Picture:
    buffer = BytesIO()
    Image.new("RGB", (16, 16), "teal").save(buffer, "PNG")
    return Picture(buffer.getvalue(), revised_prompt=f"a better {MARK}")


def fail(_job: Job) -> str:
    raise GeneratorFailed(f"no image of {MARK}")


def die(_job: Job) -> str:
    raise ProcessDied


@dataclass
class Account:
    """The account of the user, and the backend around it."""

    api: Api
    backend: Backend
    database: ThreadSafeStore
    queue: TaskList
    clock: ManualClock
    provider: Provider

    def call(self, function: str, **data: object) -> Any:
        return self.api.result(function, {"userId": USER, **data})

    def refusal(self, function: str, **data: object) -> str:
        reason: str = self.api.error(function, {"userId": USER, **data})["details"]["reason"]
        return reason

    def register(self, user_id: str = USER) -> int:
        """Register a user with the user's e-mail address. Return the trial credits."""
        email = f"{MARK}@example.com"
        profile = {"displayName": MARK, "email": email}
        return self.backend.accounts.register(user_id, profile, by_email(email), TRIAL).credits.trial

    def create(self, **changes: object) -> str:
        """Create a request of the user. Return its id."""
        made = self.call("createGenerationRequest", **order(userId=USER, size="512x512", prompt=MARK, **changes))
        return str(made["generationRequestId"])

    def run_tasks(self) -> None:
        """Run all tasks that wait."""
        while self.queue.put_so_far:
            function, task = self.queue.put_so_far.pop(0)
            self.api.http.post(f"/{function}", json={"data": task})

    def sweep(self, after: timedelta = timedelta(minutes=5)) -> None:
        self.clock.at += after
        assert self.api.http.post("/sweepAbandonedRequests").status_code == 200

    def delete(self) -> str:
        status: str = self.call("deleteAccount", confirmUserId=USER)["status"]
        return status

    def delete_to_the_end(self) -> None:
        self.delete()
        self.sweep(timedelta(minutes=20))
        assert self.delete() == "finished"

    def copies(self, collection: str, count: int) -> None:
        """Add copies of a document in a collection, but not of a request that runs or waits."""
        [document, *_] = [found for found in self.database.scan(collection) if found.data.get("imageUrl", MARK)]
        self.database.commit(*(Create(f"{document.path}-{number}", document.data) for number in range(count)))

    def document(self, path: str) -> Any:
        return self.database.read(path)[0].data

    def paths_with(self, word: str) -> list[str]:
        """Return the paths of all documents that contain the word, also in their paths."""
        return sorted(
            document.path
            for documents in self.database.collections.values()
            for document in documents.values()
            if word.lower() in f"{document.path} {document.data}".lower()
        )

    def findings(self) -> list[str]:
        return [f"{finding.invariant.name}: {finding.message}" for finding in self.backend.audit.findings()]
