"""Implements the ``ObjectStore`` port with Cloud Storage for Firebase."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from imagegen.deadlines import Deadlines
from imagegen.domain.images import CONTENT_TYPE
from imagegen.ports.object_store import ObjectStoreUnavailable

CALL_SECONDS = 10.0
"""The deadline of storing one file with its retries, and of deleting the files of a folder once."""

CACHE_CONTROL = "private, max-age=3600"
TOKENS = "firebaseStorageDownloadTokens"
"""The metadata field of the tokens that permit a download by URL. Clients of Firebase know it."""

FILES_MAX = 100
"""The most files that are deleted at once. The folder of a request has three."""

PARALLEL_DELETES = 8

T = TypeVar("T")


class CloudStorage:
    """A bucket. Its client takes seconds to import, so the first call imports it. Thread-safe.

    ``bucket`` is None where there is no bucket. ``host`` is the URL that files are downloaded from.
    """

    def __init__(self, bucket: str | None, host: str) -> None:
        self._name = bucket
        self._host = host
        self._lock = threading.Lock()
        self._bucket: Any = None
        self._deadlines = Deadlines()

    def bucket_url(self) -> str:
        if self._name is None:
            raise ObjectStoreUnavailable("There is no bucket.")
        return f"{self._host}/v0/b/{self._name}/o"

    def put(self, path: str, content: bytes, token: str, content_type: str) -> None:
        self._within_deadline(lambda: self._upload(path, content, token, content_type))

    def permit(self, path: str, *tokens: str) -> None:
        def replace() -> None:
            # The file is stored again, because the emulator cannot change the metadata of a file. The generation
            # refuses an upload that arrives late, after another call has changed the tokens.
            blob = self._opened().blob(path)
            content = blob.download_as_bytes(timeout=CALL_SECONDS, retry=self._retry())
            self._upload(path, content, ",".join(tokens), CONTENT_TYPE, if_generation_match=blob.generation)

        self._within_deadline(replace)

    def delete(self, folder: str) -> bool:
        def delete_some() -> bool:
            bucket = self._opened()

            def delete_one(blob: Any) -> None:
                bucket.delete_blobs([blob], on_error=lambda _gone: None, timeout=CALL_SECONDS, retry=self._retry())

            blobs = list(
                bucket.list_blobs(prefix=f"{folder}/", max_results=FILES_MAX, timeout=CALL_SECONDS, retry=self._retry())
            )
            with ThreadPoolExecutor(PARALLEL_DELETES) as pool:
                list(pool.map(delete_one, blobs))
            return len(blobs) < FILES_MAX

        return True if self._name is None else self._within_deadline(delete_some)

    def _upload(self, path: str, content: bytes, tokens: str, content_type: str, **preconditions: int) -> None:
        blob = self._opened().blob(path)
        blob.cache_control = CACHE_CONTROL
        blob.metadata = {TOKENS: tokens}
        blob.upload_from_string(content, content_type, timeout=CALL_SECONDS, retry=self._retry(), **preconditions)

    def _opened(self) -> Any:
        from google.cloud.storage import Client

        if self._name is None:
            raise ObjectStoreUnavailable("There is no bucket.")
        with self._lock:
            if self._bucket is None:
                self._bucket = Client().bucket(self._name)
            return self._bucket

    def _retry(self) -> Any:
        from google.cloud.storage.retry import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(CALL_SECONDS)

    def _within_deadline(self, call: Callable[[], T]) -> T:
        if self._deadlines.is_full:
            raise ObjectStoreUnavailable("Too many calls to the store have not ended.")
        try:
            return self._deadlines.run(call, CALL_SECONDS)
        except ObjectStoreUnavailable:
            raise
        except Exception as error:  # the client raises the errors of several libraries, and the file may be stored
            raise ObjectStoreUnavailable(f"The store raised {type(error).__name__}.") from error
