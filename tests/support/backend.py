"""Types and helpers of the integration tests' own backend."""

from collections.abc import Callable

from tests.support.wire import ObservedClient

AddUser = Callable[..., str]


def set_models(client: ObservedClient, **fields: object) -> None:
    """Changes every model's document, as an operator would."""
    for model in client.collection("models").list_documents():
        model.update(fields)
