"""An in-memory Firestore that several threads may use, for tests with many documents."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from imagegen.ports.database import Query, Snapshot, Version, Write
from simulation.store import Store


@dataclass
class ThreadSafeStore(Store):
    """A ``Store`` with one lock. ``queries`` counts the queries."""

    queries: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def read(self, *paths: str) -> list[Snapshot]:
        with self.lock:
            return super().read(*paths)

    def commit(self, *writes: Write) -> list[Version]:
        with self.lock:
            return super().commit(*writes)

    def find(self, query: Query) -> Sequence[Snapshot]:
        with self.lock:
            self.queries += 1
            return super().find(query)

    def edit(self, path: str, *missing: str, **changed: object) -> None:
        """Remove the ``missing`` fields of a document and set the ``changed`` ones, as an operator can."""
        with self.lock:
            [document] = self.read(path)
            collection, _, name = path.rpartition("/")
            data = {**{key: value for key, value in document.data.items() if key not in missing}, **changed}
            self.collections[collection][name] = Snapshot(path, data, document.version)
