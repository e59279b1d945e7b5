"""Types and helpers of the integration tests' own backend."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from imagegen.ports.image_generator import Job
from tests.support.wire import ObservedClient

AddUser = Callable[..., str]


@dataclass
class Provider:
    """A provider that does what a test says."""

    check: Callable[[Mapping[str, Any]], None]
    generate: Callable[[Job], str]


def set_models(client: ObservedClient, **fields: object) -> None:
    """Changes every model's document, as an operator would."""
    for model in client.collection("models").list_documents():
        model.update(fields)
