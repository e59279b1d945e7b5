"""A fake image store on the virtual clock, with every outcome that a real one can have, and the checks of its files."""

import random
from collections.abc import Iterator

from imagegen.domain.generation import Status
from imagegen.domain.images import IMAGE, VARIANTS, EncodedFile, ImageFile
from imagegen.ports.object_store import ObjectStoreUnavailable
from simulation.checks import Requests, Violation
from simulation.faults import Faults
from tools.fakes import FileStore

PUT_SECONDS = 5.0


def encoded(content: bytes, width: int, height: int) -> list[EncodedFile]:
    """Return files that contain the content, whatever it is."""
    return [EncodedFile(ImageFile(name, width, height, len(content)), content) for name in (IMAGE, *VARIANTS)]


class SimulatedObjectStore:
    """Stores files or fails. When it fails, the change may have been made."""

    def __init__(self, faults: Faults, rng: random.Random) -> None:
        self._faults = faults
        self._rng = rng
        self.stored = FileStore()
        self.bucket_url = self.stored.bucket_url

    def put(self, path: str, content: bytes, token: str, content_type: str) -> None:
        self._before("image not stored")
        self.stored.put(path, content, token, content_type)
        self._after()

    def permit(self, path: str, *tokens: str) -> None:
        self._before("tokens not changed")
        self.stored.permit(path, *tokens)
        self._after()

    def delete(self, folder: str) -> bool:
        self._before("images not deleted")
        is_empty = self.stored.delete(folder)
        self._after()
        return is_empty

    def _before(self, failure: str) -> None:
        self._faults.step(self._rng.uniform(0, PUT_SECONDS))
        if self._faults.occurs(self._faults.rates.lost_before):
            self._faults.scheduler.note(failure)
            raise ObjectStoreUnavailable("not done")

    def _after(self) -> None:
        self._faults.step(0.0)
        if self._faults.occurs(self._faults.rates.lost_after):
            self._faults.scheduler.note("image store: answer lost")
            raise ObjectStoreUnavailable("perhaps done")


def missing_files(store: FileStore, requests: Requests) -> Iterator[Violation]:
    """Yield the completed requests whose files are missing or have another token than their URLs."""
    for request in requests.values():
        image = request.image
        if request.status is not Status.COMPLETED or image is None:
            continue
        for file in image.files:
            content, token = store.files.get(f"{image.folder}/{file.name}.webp", (b"", ""))
            if (content, token) != (request.id.encode(), image.token):
                yield Violation("IMAGE", f"{request.id} has no file {file.name}")


def leftover_files(store: FileStore, requests: Requests) -> Iterator[Violation]:
    """Yield the files of requests that were not completed, after they should have been deleted."""
    kept = {image.folder for request in requests.values() if (image := request.image)}
    for path in store.files:
        if path.rpartition("/")[0] not in kept:
            yield Violation("LEFTOVER", f"{path} is still stored")
