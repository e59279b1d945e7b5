"""Types and helpers for the backend of the integration tests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from imagegen.ports.image_generator import Job, Picture
from tests.support.wire import ObservedClient

AddUser = Callable[..., str]


@dataclass
class Provider:
    """A fake provider whose functions a test may replace."""

    check: Callable[[Mapping[str, Any]], None]
    generate: Callable[[Job], Picture | str]
    is_stuck: bool = False


def set_models(client: ObservedClient, **fields: object) -> None:
    """Change every model's document, as an operator would."""
    for model in client.collection("models").list_documents():
        model.update(fields)
