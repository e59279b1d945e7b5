"""Stores the images of requests, and deletes what a crash leaves."""

import secrets
from collections.abc import Callable, Sequence

from imagegen.dataclass import dataclass
from imagegen.domain.catalog import Size
from imagegen.domain.generation import GenerationRequest
from imagegen.domain.images import CONTENT_TYPE, EncodedFile, StoredImage, file_path, folder_of, user_folder
from imagegen.ports.image_generator import Picture
from imagegen.ports.object_store import ObjectStore

REVISED_PROMPT_LENGTH_MAX = 4_000
"""The characters of a revised prompt that are stored. A document has room for a million bytes."""


def _encode(content: bytes, width: int, height: int) -> Sequence[EncodedFile]:
    from imagegen.services.images.encoding import encode  # imports Pillow, which only stored images need

    return encode(content, width, height)


def _storable(prompt: str | None) -> str | None:
    """Return the text that a provider sent as one that a document can contain."""
    return prompt and prompt[:REVISED_PROMPT_LENGTH_MAX].encode("utf-8", "replace").decode("utf-8")


def _new_token() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Images:
    """The images of requests, in an image store. ``encode`` is ``encoding.encode``, imported when it is needed."""

    store: ObjectStore
    encode: Callable[[bytes, int, int], Sequence[EncodedFile]] = _encode
    new_token: Callable[[], str] = _new_token

    def keep(self, picture: Picture, request: GenerationRequest, size: Size) -> StoredImage:
        """Store the picture in the ordered size, and its variants. Nobody learns their URLs before the commit.

        Raises InvalidPicture and ObjectStoreUnavailable.
        """
        encoded = self.encode(picture.content, size.width, size.height)
        image = StoredImage(
            bucket_url=self.store.bucket_url(),
            folder=folder_of(request.user_id, request.id),
            token=self.new_token(),
            files=[item.file for item in encoded],
            revised_prompt=_storable(picture.revised_prompt),
        )
        for item in encoded:
            self.store.put(file_path(image.folder, item.file.name), item.content, image.token, CONTENT_TYPE)
        return image

    def permit(self, image: StoredImage, *tokens: str) -> None:
        """Let the files of an image be downloaded with these tokens only. Raises ObjectStoreUnavailable."""
        for file in image.files:
            self.store.permit(file_path(image.folder, file.name), *tokens)

    def delete(self, request: GenerationRequest) -> bool:
        """Delete the files of a request. Return whether none is left. Raises ObjectStoreUnavailable."""
        return self.store.delete(folder_of(request.user_id, request.id))

    def delete_some_of(self, user_id: str) -> bool:
        """Delete the files of a user, up to a bound. Return whether none is left. Raises ObjectStoreUnavailable."""
        return self.store.delete(user_folder(user_id))
