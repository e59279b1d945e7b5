"""Tests of the REST API through Firebase Hosting, with a client that is generated from its OpenAPI document."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.live import ANSWER_TIMEOUT_SECONDS, Live, until
from tests.support.models import LATE
from tools.docs import openapi_rest


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Yield the client that openapi-python-client generates, as a package."""
    directory = tmp_path_factory.mktemp("client")
    (directory / "config.yml").write_text("post_hooks: []\n")
    options = {"--path": openapi_rest.TARGET, "--output-path": directory / "generated_client", "--meta": "none"}
    arguments = [str(part) for option in {**options, "--config": directory / "config.yml"}.items() for part in option]
    generator = Path(sys.executable).with_name("openapi-python-client")
    subprocess.run([generator, "generate", "--fail-on-warning", *arguments], check=True, timeout=60)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(directory)
        yield importlib.import_module("generated_client")


def test_generated_client_creates_polls_lists_and_cancels(live: Live, generated: Any) -> None:
    api, models = (importlib.import_module(f"generated_client.{name}") for name in ("api.default", "models"))
    for name in ("create_generation", "get_generation_request", "list_generations", "cancel_generation_request"):
        importlib.import_module(f"{api.__name__}.{name}")
    user_id = live.add_user(paid=2)
    options = {"user_id": user_id, "style": "anime", "color": "neon", "size": "512x512", "prompt": "a fox"}

    with generated.Client(base_url=live.suite.hosting_url, timeout=ANSWER_TIMEOUT_SECONDS) as client:
        created = api.create_generation.sync_detailed(
            client=client, body=models.CreateGeneration(model="Model A", **options), idempotency_key="fox"
        )
        assert created.status_code == 201
        request_id = created.parsed.generation_request_id
        again = api.create_generation.sync_detailed(
            client=client, body=models.CreateGeneration(model="Model A", **options), idempotency_key="fox"
        )
        assert (again.status_code, again.parsed.generation_request_id, again.parsed.replayed) == (200, request_id, True)

        def polled() -> Any:
            return api.get_generation_request.sync(request_id, client=client)

        until(lambda: polled().status is models.Status.COMPLETED, seconds=60)
        assert polled().image_url == f"{live.suite.hosting_url}/models/model-a.webp"

        late = api.create_generation.sync(client=client, body=models.CreateGeneration(model=LATE, **options))
        canceled = api.cancel_generation_request.sync(late.generation_request_id, client=client)
        assert (canceled.status, canceled.refunded_credits) == (models.Status.CANCELED, 1)
        refused = api.cancel_generation_request.sync_detailed(request_id, client=client)
        assert (refused.status_code, refused.parsed.reason) == (409, "REQUEST_ENDED")

        page = api.list_generations.sync(client=client, user_id=user_id, limit=1)
        assert [item.generation_request_id for item in page.items] == [late.generation_request_id]
        following = api.list_generations.sync(client=client, user_id=user_id, page_token=page.next_)
        assert [item.generation_request_id for item in following.items] == [request_id]
        too_expensive = models.CreateGeneration(model="Model A", **{**options, "size": "1024x1024"})
        assert api.create_generation.sync(client=client, body=too_expensive).reason == "INSUFFICIENT_CREDITS"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/catalog", 200), ("HEAD", "/v1/catalog", 200), ("GET", "/v1/x", 404), ("PUT", "/v1/catalog", 405)],
)
def test_answers_are_the_same_directly_and_through_hosting(live: Live, method: str, path: str, status: int) -> None:
    hosted, direct = (
        requests.request(method, f"{url}{path}", timeout=ANSWER_TIMEOUT_SECONDS)
        for url in (live.suite.hosting_url, f"{live.suite.functions_url}/api")
    )
    assert (hosted.status_code, hosted.text) == (direct.status_code, direct.text)
    assert hosted.status_code == status
    assert hosted.headers["Cache-Control"] == "no-store"


def test_call_that_waits_gets_the_image_in_one_answer(live: Live) -> None:
    user_id = live.add_user(paid=1)
    options = {"model": "Model A", "style": "anime", "color": "neon", "size": "512x512", "prompt": "a fox"}
    response = requests.post(
        f"{live.suite.hosting_url}/v1/generations",
        json={"user_id": user_id, **options},
        headers={"Prefer": "wait=50"},
        timeout=ANSWER_TIMEOUT_SECONDS,
    )
    assert response.status_code == 201
    assert response.json()["status"] == "completed"
    assert response.headers["Location"] == f"generations/{response.json()['generation_request_id']}"
