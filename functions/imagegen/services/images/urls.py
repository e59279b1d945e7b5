"""Replaces the URLs of a stored image, so that the old URLs stop working."""

from collections.abc import Callable
from dataclasses import replace

from imagegen.dataclass import dataclass
from imagegen.documents.generations import StoredRequest, image_fields, request_path
from imagegen.domain.generation import GenerationRequest
from imagegen.domain.images import StoredImage
from imagegen.errors import Contention, NoStoredImage, ServiceUnavailable, charge_of
from imagegen.ports.database import CommitRefused, Database, DatabaseUnavailable, OutcomeUnknown, Update
from imagegen.ports.object_store import ObjectStoreUnavailable
from imagegen.services.generations.queries import not_found
from imagegen.services.images.storage import Images
from imagegen.services.retry import Retry

UNFINISHED = "The old URLs may still work. Call this function again."


@dataclass(frozen=True)
class ImageUrls:
    database: Database
    images: Images
    retry: Retry

    def replace(self, request_id: str, may_change: Callable[[GenerationRequest], bool]) -> GenerationRequest:
        """Replace the URLs of a request's image and return the request.

        The files accept the old and the new token until the new one is recorded, so the recorded URL always works.

        Raises RequestNotFound, also if ``may_change`` returns False; NoStoredImage; and Contention and
        ServiceUnavailable, after which the old URLs may still work.
        """

        def attempt(_tries: int) -> GenerationRequest:
            stored, image = self._current(request_id, may_change)
            changed = replace(image, token=self.images.new_token())
            self.images.permit(image, image.token, changed.token)
            fields = {"image": image_fields(changed), "imageUrl": changed.main.url}
            self.database.commit(Update(request_path(request_id), fields, stored.version))
            return replace(stored.request, image=changed, image_url=changed.main.url)

        def withdraw(_tries: int) -> GenerationRequest:
            stored, image = self._current(request_id, may_change)
            self.images.permit(image, image.token)
            again, _ = self._current(request_id, may_change)
            if again.version != stored.version:  # another call has replaced the URLs, and needs its own token
                raise CommitRefused("the URLs were replaced at the same time")
            return stored.request

        try:
            self.retry(attempt)
            return self.retry(withdraw)
        except CommitRefused as error:
            raise Contention(f"Too many simultaneous changes of this request. {UNFINISHED}") from error
        except (DatabaseUnavailable, OutcomeUnknown, ObjectStoreUnavailable) as error:
            raise ServiceUnavailable(f"The URLs could not be replaced. {UNFINISHED}") from error

    def _current(
        self, request_id: str, may_change: Callable[[GenerationRequest], bool]
    ) -> tuple[StoredRequest, StoredImage]:
        [document] = self.database.read(request_path(request_id))
        if not document.exists or not may_change((stored := StoredRequest.of(document)).request):
            raise not_found(request_id)
        if stored.request.image is None:
            raise NoStoredImage("This request has no stored image.", **charge_of(stored.request))
        return stored, stored.request.image
