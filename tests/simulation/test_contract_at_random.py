"""Compares the simulation's in-memory store with Firestore on random commits."""

import random
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.ports.database import CommitRefused, Create, Database, Delete, Put, Replace, Update, Version, Write
from simulation.store import Store
from tests.support.wire import ObservedClient

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("seed", range(3))
def test_random_commits_have_the_same_result_in_memory_and_in_firestore(seed: int, client: ObservedClient) -> None:
    """Both databases get the same commits, with fresh and stale versions. Both refuse a commit, or neither does."""
    rng = random.Random(seed)
    databases: list[Database] = [Store(), FirestoreDatabase(client)]
    paths = ["things/a", "things/b", "others/a"]
    read = [{path: [LONG_AGO] for path in paths} for _ in databases]  # every version seen, oldest first, in each
    refused = 0
    for _ in range(150):
        plan = [_random_write(rng, path) for path in rng.sample(paths, rng.randint(1, 3))]
        applied = []
        for database, seen in zip(databases, read, strict=True):
            try:
                database.commit(*(build(seen) for build in plan))
                applied.append(True)
            except CommitRefused:
                applied.append(False)
            for document in database.read(*paths):
                if document.version and document.version != seen[document.path][-1]:
                    seen[document.path].append(document.version)
        assert applied[0] is applied[1]
        refused += not applied[0]
        in_memory, firestore = (database.read(*paths) for database in databases)
        assert [document.data for document in in_memory] == [document.data for document in firestore]
        assert [len(seen) for seen in read[0].values()] == [len(seen) for seen in read[1].values()]
    assert 20 < refused < 130


def _random_write(rng: random.Random, path: str) -> Callable[[dict[str, list[Version]]], Write]:
    number, age = rng.randint(0, 2), rng.choice((1, 1, 1, 2))
    field = rng.choice(("n", "map.n", "map.`2026-W46`.n", "map"))
    match rng.choice(("create", "create", "update", "update", "update", "put", "replace", "delete", "delete any")):
        case "create":
            return lambda _seen: Create(path, {"n": number})
        case "update":
            return lambda seen: Update(path, {field: number}, seen[path][-min(age, len(seen[path]))])
        case "replace":
            return lambda seen: Replace(path, {"n": number}, seen[path][-min(age, len(seen[path]))])
        case "delete":
            return lambda seen: Delete(path, seen[path][-min(age, len(seen[path]))])
        case "delete any":
            return lambda _seen: Delete(path)
        case _:
            return lambda _seen: Put(path, {"n": number, "map": {"n": number}})
