"""Tests of stored images on the emulators: the URLs of an answer open without a token, and clients cannot write."""

import io
from urllib.parse import quote

import pytest
import requests
from PIL import Image

from imagegen.adapters.cloud_storage import CloudStorage
from tests.support.live import Live, order, until
from tests.support.models import CANVAS
from tools.emulators import binaries


def test_urls_of_an_answer_open_in_a_browser(live: Live) -> None:
    made = live.create(live.add_user(paid=1), model=CANVAS, seed=7).json()["result"]
    for file in (made["image"], *made["variants"]):
        answer = requests.get(file["url"], timeout=30)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == file["contentType"] == "image/webp"
        assert answer.headers["Cache-Control"] == "private, max-age=3600"
        assert len(answer.content) == file["bytes"]
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert picture.size == (file["width"], file["height"])
    request_id = {"generationRequestId": made["generationRequestId"]}
    replaced = live.result("replaceImageUrls", request_id)
    assert requests.get(replaced["imageUrl"], timeout=30).status_code == 200
    assert requests.get(made["imageUrl"], timeout=30).status_code == 403
    without_token = requests.get(made["imageUrl"].partition("&token=")[0], timeout=30)
    assert without_token.status_code == 403


def test_folder_is_deleted_with_its_files_only(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{live.suite.storage_host}")
    store = CloudStorage(f"{live.suite.project_id}.appspot.com", f"http://{live.suite.storage_host}")

    def is_stored(path: str) -> bool:
        url = f"{store.bucket_url()}/{quote(path, safe='')}?alt=media&token=token"
        return requests.get(url, timeout=30).status_code == 200

    paths = [f"images/nobody/{folder}/image.webp" for folder in ("request", "request-2")]
    for path in paths:
        store.put(path, b"content", "token", "image/webp")
    assert [is_stored(path) for path in paths] == [True, True]
    for _ in range(2):
        store.delete("images/nobody/request")
        assert [is_stored(path) for path in paths] == [False, True]


@pytest.mark.skipif(binaries.find("storage") is None, reason="the rules runtime of the Storage emulator is missing")
def test_only_the_owner_reads_an_image_without_its_url(live: Live) -> None:
    made = live.create("user-ada", model=CANVAS).json()["result"]
    url = made["imageUrl"].partition("&token=")[0]

    def status(user_id: str) -> int:
        headers = {"Authorization": f"Firebase {live.sign_in(user_id)}"}
        return requests.get(url, headers=headers, timeout=30).status_code

    assert (status("user-ada"), status("user-bela"), status("user-admin")) == (200, 403, 403)
    written = requests.post(
        url, data=b"mine", headers={"Authorization": f"Firebase {live.sign_in('user-ada')}"}, timeout=30
    )
    assert written.status_code == 403


def test_with_the_bare_cli_an_image_is_refunded(closed: Live) -> None:
    """The committed firebase.json has no Storage emulator, because the CLI would download its rules runtime."""
    assert "storage" not in requests.get(f"{closed.suite.hub_url}/emulators", timeout=30).json()
    template = closed.operator.document("models/model-a").get().to_dict() or {}
    closed.operator.document("models/canvas").set({**template, "name": CANVAS, "provider": "canvas", "order": 100})
    token = closed.sign_in("user-ada")

    answers = []

    def is_offered() -> bool:  # functions cache the catalog
        answers.append(closed.call("createGenerationRequest", order("user-ada", model=CANVAS), token=token))
        return answers[-1].status_code != 400

    until(is_offered, seconds=30)
    error = answers[-1].json()["error"]
    assert (answers[-1].status_code, error["details"]["reason"]) == (503, "IMAGE_NOT_STORED")
    assert error["details"]["refundedCredits"] == 1
