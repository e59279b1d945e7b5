"""Images that the backend stores: their files, and the URLs that the files are downloaded from."""

from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import quote

from imagegen.dataclass import dataclass

IMAGE = "image"
"""The name of the file that has the ordered size. The other files of an image are its variants."""

VARIANTS = {"medium": 512, "thumbnail": 256}
"""The longest side of each variant, in pixels."""

CONTENT_TYPE = "image/webp"
SUFFIX = ".webp"

LEFTOVERS_KEPT = timedelta(days=1)
"""The time after which the files of a request that was not completed are deleted. No run takes that long."""


@dataclass(frozen=True)
class ImageFile:
    """A file of an image. ``width`` and ``height`` are in pixels, and ``bytes`` is its length."""

    name: str
    width: int
    height: int
    bytes: int


@dataclass(frozen=True)
class EncodedFile:
    """A file of an image, with its content."""

    file: ImageFile
    content: bytes


class InvalidPicture(ValueError):
    """The content is not a picture that can be decoded, or it is too large. The message contains no part of it."""


@dataclass(frozen=True)
class StoredImage:
    """An image in the bucket whose files have the URL ``bucket_url`` and their quoted path. One of them is ``IMAGE``.

    Whoever knows ``token`` may download the files, so their URLs contain it. ``revised_prompt`` is the prompt that the
    provider used instead of the caller's.
    """

    bucket_url: str
    folder: str
    token: str
    files: Sequence[ImageFile]
    revised_prompt: str | None = None

    @property
    def main(self) -> "Download":
        """The file that has the ordered size."""
        return next(self._download(file) for file in self.files if file.name == IMAGE)

    @property
    def variants(self) -> "list[Download]":
        return [self._download(file) for file in self.files if file.name != IMAGE]

    def _download(self, file: ImageFile) -> "Download":
        path = quote(file_path(self.folder, file.name), safe="")
        url = f"{self.bucket_url}/{path}?alt=media&token={self.token}"
        return Download(file.name, file.width, file.height, file.bytes, url)


@dataclass(frozen=True)
class Download(ImageFile):
    """A file, and the URL that it is downloaded from."""

    url: str
    content_type: str = CONTENT_TYPE


def user_folder(user_id: str) -> str:
    """Return the folder of the files of all requests of a user."""
    return f"images/{user_id}"


def folder_of(user_id: str, request_id: str) -> str:
    """Return the folder of a request's files. Only its user may read it, says storage.rules."""
    return f"{user_folder(user_id)}/{request_id}"


def file_path(folder: str, name: str) -> str:
    return f"{folder}/{name}{SUFFIX}"
