"""Creates, lists and deletes webhook endpoints."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from imagegen.dataclass import dataclass
from imagegen.documents.accounts import endpoints_of_user, update_endpoints, user_path
from imagegen.documents.receivers import create_endpoint, receiver_of, receiver_path, write_receiver
from imagegen.domain.endpoints import ENDPOINTS_MAX, Endpoint, EventType
from imagegen.domain.receivers import Receiver
from imagegen.errors import EndpointNotFound, TooManyEndpoints
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, Write
from imagegen.services.credits.accounts import require_user
from imagegen.services.retry import Retry
from imagegen.services.unreadable import read_or_log
from imagegen.services.webhooks.secrets import Rotation, WebhookSecrets


@dataclass(frozen=True)
class ListedEndpoint:
    """An endpoint, and its state as a receiver."""

    endpoint: Endpoint
    receiver: Receiver


@dataclass(frozen=True)
class Endpoints:
    """A user's endpoints. If the retries fail, raises CommitRefused, OutcomeUnknown or DatabaseUnavailable."""

    database: Database
    secrets: WebhookSecrets
    clock: Clock
    retry: Retry
    new_id: Callable[[], str]

    def create(self, user_id: str, url: str, events: Sequence[EventType]) -> tuple[ListedEndpoint, str]:
        """Create an endpoint and return it with its secret.

        If the user has an endpoint with this URL, enable it with these events instead. Raises UserNotFound and
        TooManyEndpoints.
        """
        new_id = self.new_id()

        def attempt(_tries: int) -> ListedEndpoint:
            [user] = self.database.read(user_path(user_id))
            listed = endpoints_of_user(require_user(user))
            known = next((endpoint for endpoint in listed if endpoint.url == url), None)
            endpoint = Endpoint(known.id if known else new_id, url, tuple(dict.fromkeys(events)))
            others = [one for one in listed if one != known]
            if known is None and len(listed) >= ENDPOINTS_MAX:
                raise TooManyEndpoints(
                    f"You have {ENDPOINTS_MAX} webhook endpoints already. Delete one first.", maxEndpoints=ENDPOINTS_MAX
                )
            [document] = self.database.read(receiver_path(endpoint.id))
            receiver = receiver_of(document) if document.exists else Receiver(endpoint.id, user_id, url)
            enabled = replace(receiver, failing_since=None, paused_until=None, given_up_at=None)
            writes: list[Write] = []
            if endpoint != known:
                writes.append(update_endpoints(user, [*others, endpoint]))
            if not document.exists:
                writes.append(create_endpoint(receiver, self.clock.now()))
            elif enabled != receiver:
                writes.append(write_receiver(document, enabled))
            if writes:
                self.database.commit(*writes)
            return ListedEndpoint(endpoint, enabled)

        made = self.retry(attempt)
        return made, self.secrets.of_receiver(user_id, made.endpoint.id)

    def list(self, user_id: str) -> Sequence[ListedEndpoint]:
        """Return the user's endpoints, oldest first, without those whose state cannot be read. Raises UserNotFound."""
        [user] = self.database.read(user_path(user_id))
        endpoints = endpoints_of_user(require_user(user))
        documents = self.database.read(*(receiver_path(endpoint.id) for endpoint in endpoints)) if endpoints else []
        return [
            ListedEndpoint(endpoint, receiver)
            for endpoint, document in zip(endpoints, documents, strict=True)
            if document.exists and (receiver := read_or_log(receiver_of, document))
        ]

    def delete(self, endpoint_id: str, may_delete: Callable[[Receiver], bool]) -> None:
        """Delete an endpoint. Its pending webhooks fail. A repeated call changes nothing.

        Raises EndpointNotFound, also if ``may_delete`` returns False.
        """

        def attempt(_tries: int) -> None:
            [document] = self.database.read(receiver_path(endpoint_id))
            if not document.exists or not may_delete(receiver := receiver_of(document)):
                raise not_found(endpoint_id)
            if receiver.deleted_at is not None:
                return
            [user] = self.database.read(user_path(receiver.user_id))
            listed = endpoints_of_user(require_user(user))
            others = [endpoint for endpoint in listed if endpoint.id != endpoint_id]
            if len(others) == len(listed):
                raise not_found(endpoint_id)  # the state of webhook URLs, which is not an endpoint
            deleted = replace(receiver, deleted_at=self.clock.now())
            self.database.commit(update_endpoints(user, others), write_receiver(document, deleted))

        self.retry(attempt)

    def rotate(self, endpoint_id: str, rotation: Rotation, may_rotate: Callable[[Receiver], bool]) -> str:
        """Rotate the secret of an endpoint, and return the new one. Raises EndpointNotFound, as ``delete`` does."""
        [document] = self.database.read(receiver_path(endpoint_id))
        if not document.exists or not may_rotate(receiver := receiver_of(document)) or receiver.deleted_at is not None:
            raise not_found(endpoint_id)
        return self.secrets.of_receiver(receiver.user_id, endpoint_id, rotation)


def not_found(endpoint_id: str) -> EndpointNotFound:
    return EndpointNotFound(f"You have no webhook endpoint {endpoint_id!r}.", endpointId=endpoint_id)
