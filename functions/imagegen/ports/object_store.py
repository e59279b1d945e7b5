"""The port to the store of files: images, and the exports of accounts."""

from typing import Protocol


class ObjectStoreUnavailable(Exception):
    """The store could not be reached, or did not confirm the change. The change may have been made."""


class ObjectStore(Protocol):
    """A store of files. ``CloudStorage`` implements it. All methods raise ObjectStoreUnavailable."""

    def bucket_url(self) -> str:
        """Return the URL that precedes the quoted path of each file in its download URL."""

    def put(self, path: str, content: bytes, token: str, content_type: str) -> None:
        """Store a file, which may exist already. ``token`` permits its download."""

    def permit(self, path: str, *tokens: str) -> None:
        """Let an existing file be downloaded with these tokens only."""

    def delete(self, folder: str) -> bool:
        """Delete the files of a folder, of which there may be none, up to a bound. Return whether none is left."""
