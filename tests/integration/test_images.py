"""Tests of stored images: what a provider made is checked, fitted, stored and served."""

import io
import struct
import zlib
from datetime import timedelta

import pytest
from PIL import Image

from imagegen.adapters.generators.canvas import CanvasGenerator
from imagegen.bootstrap import Backend
from imagegen.domain.images import LEFTOVERS_KEPT
from imagegen.ports.image_generator import Job, Picture
from imagegen.ports.object_store import ObjectStoreUnavailable
from imagegen.services.images.encoding import BYTES_MAX, PIXELS_MAX, encode
from imagegen.services.images.storage import REVISED_PROMPT_LENGTH_MAX
from tests.support.api import Api
from tests.support.backend import AddUser, Provider, set_models
from tests.support.faults import FaultyDatabase, Lost, refuse
from tests.support.orders import order
from tests.support.times import NOON
from tests.support.wire import ObservedClient
from tools.fakes import FileStore, ManualClock

SMALL = order(size="512x512", seed=7)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture(autouse=True)
def canvas(client: ObservedClient, provider: Provider, add_user: AddUser) -> None:
    """Let Model A draw its images."""
    client.document("models/model-a").update({"provider": "canvas", "takesSeed": True})
    add_user(paid=20)


def png(width: int, height: int, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (width, height), "teal").save(buffer, "PNG")
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """Return a small PNG whose header announces this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def test_picture_is_stored_in_the_ordered_size_with_variants(
    api: Api, client: ObservedClient, files: FileStore
) -> None:
    made = api.result("createGenerationRequest", order(size="1024x1792", mode="sync"))
    folder = f"images/user/{made['generationRequestId']}"
    sizes = {"image": (1024, 1792), "medium": (293, 512), "thumbnail": (146, 256)}
    assert files.files.keys() == {f"{folder}/{name}.webp" for name in sizes}
    for name, size in sizes.items():
        content, token = files.files[f"{folder}/{name}.webp"]
        described = {variant["name"]: variant for variant in [{"name": "image", **made["image"]}, *made["variants"]]}[
            name
        ]
        with Image.open(io.BytesIO(content)) as stored:
            assert (stored.format, stored.size) == ("WEBP", size)
        quoted = f"{folder}/{name}.webp".replace("/", "%2F")
        assert described == {
            "name": name,
            "url": f"https://storage.example.com/v0/b/bucket/o/{quoted}?alt=media&token={token}",
            "width": size[0],
            "height": size[1],
            "contentType": "image/webp",
            "bytes": len(content),
        }
    assert made["imageUrl"] == made["image"]["url"]
    request = api.result("getGenerationRequest", {"generationRequestId": made["generationRequestId"]})
    [listed] = api.result("listGenerationRequests", {"userId": "user"})["requests"]
    for answer in (request, listed):
        assert {name: answer[name] for name in ("imageUrl", "image", "variants", "seed")} == {
            name: made[name] for name in ("imageUrl", "image", "variants", "seed")
        }
    stored_request = client.document(f"generationRequests/{request['generationRequestId']}").get().to_dict() or {}
    assert stored_request["imageUrl"] == made["imageUrl"]


def test_storing_takes_no_more_of_firestore(api: Api, client: ObservedClient) -> None:
    api.result("getCatalog", {})
    counts = []
    for model in ("Model B", "Model A"):  # a mock, and one whose images are stored
        client.wire.reset()
        api.result("createGenerationRequest", order(model=model, size="512x512"))
        counts.append((client.wire.round_trips, client.wire.documents_read, client.wire.writes))
    assert counts == [(3, 2, 4)] * 2


def test_same_order_gives_the_same_picture_and_another_seed_another_one() -> None:
    def drawn(**changes: object) -> bytes:
        job = Job(
            request_id="id", model="Canvas", provider_model="Canvas", provider_options={}, prompt="a lighthouse",
            provider_prompt="", input=None, style="sketch", color="neon", size="64x64", width=64, height=64,
            timeout_seconds=30, max_attempts=1,
        )  # fmt: skip
        return CanvasGenerator().generate(Job(**{**vars(job), **changes})).content

    first = drawn(seed=1)
    assert drawn(seed=1) == first
    others = [drawn(seed=2), drawn(prompt="a fox", seed=1), drawn(style="anime", seed=1), drawn(color="pastel", seed=1)]
    assert len({first, *others}) == 5
    assert drawn() == drawn()


def test_costs_of_a_stored_picture_are_logged(
    api: Api, client: ObservedClient, provider: Provider, capfd: pytest.CaptureFixture[str]
) -> None:
    set_models(client, provider="mock", takesSeed=False)
    provider.generate = lambda _job: Picture(png(8, 8), provider_id="resp-1", cost_usd=0.04)
    made = api.result("createGenerationRequest", order(size="512x512"))
    [logged] = [line for line in "".join(capfd.readouterr()).splitlines() if '"event": "PICTURE_STORED"' in line]
    for field in (
        '"providerId": "resp-1"',
        '"costUsd": 0.04',
        f'"generationRequestId": "{made["generationRequestId"]}"',
    ):
        assert field in logged


def test_seed_is_stored_and_returned(api: Api) -> None:
    made = api.result("createGenerationRequest", SMALL)
    assert made["seed"] == 7
    assert api.result("getGenerationRequest", {"generationRequestId": made["generationRequestId"]})["seed"] == 7
    assert api.result("createGenerationRequest", order(size="512x512"))["seed"] != 7  # the model chooses one


def test_text_of_a_provider_never_prevents_the_commit(api: Api, client: ObservedClient, provider: Provider) -> None:
    """A document has room for a million bytes, and contains no half of a surrogate pair."""
    set_models(client, provider="mock")
    provider.generate = lambda _job: Picture(png(8, 8), seed=0, revised_prompt="\ud800" + "x" * 2_000_000)
    made = api.result("createGenerationRequest", order(size="512x512"))
    assert made["seed"] == 0
    stored = client.document(f"generationRequests/{made['generationRequestId']}").get().to_dict() or {}
    assert stored["image"]["revisedPrompt"] == "?" + "x" * (REVISED_PROMPT_LENGTH_MAX - 1)


def test_files_of_a_request_canceled_while_they_are_stored_are_left_for_the_sweeper(
    api: Api,
    client: ObservedClient,
    backend: Backend,
    files: FileStore,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put, canceled = files.put, list[dict[str, str]]()

    def put_and_cancel(path: str, content: bytes, token: str, content_type: str) -> None:
        put(path, content, token, content_type)
        if not canceled:
            canceled.append(api.result("cancelGenerationRequest", {"generationRequestId": path.split("/")[2]}))

    monkeypatch.setattr(files, "put", put_and_cancel)
    assert api.error("createGenerationRequest", SMALL)["details"]["reason"] == "CANCELED"
    [request_id] = [answer["generationRequestId"] for answer in canceled]
    stored = client.document(f"generationRequests/{request_id}").get().to_dict() or {}
    assert (stored["imageUrl"], stored["deleteImagesAt"]) == (None, NOON + LEFTOVERS_KEPT)
    assert len(files.files) == 3
    clock.at += LEFTOVERS_KEPT + timedelta(seconds=1)
    assert backend.sweeper.sweep() == 1
    assert files.files == {}


def test_seed_needs_a_model_that_takes_one(api: Api) -> None:
    error = api.error("createGenerationRequest", order(model="Model B", seed=1))
    assert error["details"]["violations"] == [{"field": "seed", "message": "is not supported by Model B"}]
    models = {model["name"]: model["takesSeed"] for model in api.result("getCatalog", {})["models"]}
    assert models == {"Model A": True, "Model B": False}


def test_picture_that_cannot_be_stored_is_refunded(api: Api, files: FileStore) -> None:
    files.down = True
    error = api.error("createGenerationRequest", SMALL)
    assert (error["status"], error["details"]["reason"]) == ("UNAVAILABLE", "IMAGE_NOT_STORED")
    assert api.result("getUserCredits", {"userId": "user"})["currentCredits"] == 20


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>not a picture</html>",
        png(64, 64)[:-30],
        bomb(60_000, 60_000),
        bomb(4097, 4096),
        bytes(BYTES_MAX + 1),
        png(8, 8).replace(b"IHDR", b"JHDR"),
    ],
    ids=["empty", "text", "cut off", "bomb", "too many pixels", "too long", "broken"],
)
def test_what_is_not_a_picture_is_refunded_and_not_stored(
    api: Api, client: ObservedClient, provider: Provider, files: FileStore, content: bytes
) -> None:
    set_models(client, provider="mock", takesSeed=False)
    provider.generate = lambda _job: Picture(content)
    error = api.error("createGenerationRequest", order(size="512x512"))
    assert (error["details"]["reason"], error["details"]["refundedCredits"]) == ("GENERATION_FAILED", 1)
    assert files.files == {}


@pytest.mark.parametrize(
    ("width", "height", "mode"),
    [(4096, PIXELS_MAX // 4096, "RGB"), (30, 200, "RGB"), (64, 64, "RGBA"), (9, 9, "L")],
)
def test_every_picture_is_fitted_exactly(width: int, height: int, mode: str) -> None:
    main, *_ = encode(png(width, height, mode), 100, 60)
    with Image.open(io.BytesIO(main.content)) as fitted:
        assert (fitted.size, main.file.width, main.file.height) == ((100, 60), 100, 60)


def test_metadata_of_a_picture_is_not_kept() -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "where it was taken"
    exif[0x0112] = 6  # turned by 90 degrees
    Image.new("RGB", (40, 20)).save(buffer, "JPEG", exif=exif)
    for encoded in encode(buffer.getvalue(), 20, 40):
        assert b"where it was taken" not in encoded.content


def test_sweep_deletes_what_a_crash_leaves_after_a_day(
    api: Api, backend: Backend, faulty: FaultyDatabase, files: FileStore, clock: ManualClock
) -> None:
    kept = api.result("createGenerationRequest", SMALL)["generationRequestId"]
    faulty.faults = [None, *[refuse] * 1000]  # the outcome cannot be recorded, as if the process had died
    left = api.error("createGenerationRequest", SMALL)["details"]["generationRequestId"]
    faulty.faults = []
    assert {path.split("/")[2] for path in files.files} == {kept, left}
    clock.at += timedelta(minutes=10)
    backend.sweeper.sweep()
    assert api.result("getGenerationRequest", {"generationRequestId": left})["error"]["reason"] == "ABANDONED"
    clock.at += LEFTOVERS_KEPT - timedelta(minutes=1)
    assert backend.sweeper.sweep() == 0
    clock.at += timedelta(minutes=1, seconds=1)
    files.down = True
    assert backend.sweeper.sweep() == 0
    files.down = False
    assert [backend.sweeper.sweep(), backend.sweeper.sweep()] == [1, 0]
    assert {path.split("/")[2] for path in files.files} == {kept}


def test_replaced_urls_are_the_only_ones_that_work(api: Api, files: FileStore) -> None:
    made = api.result("createGenerationRequest", SMALL)
    [before] = {token for _, token in files.files.values()}
    replaced = api.result("replaceImageUrls", {"generationRequestId": made["generationRequestId"]})
    [after] = {token for _, token in files.files.values()}
    assert after != before
    for file in (replaced["image"], *replaced["variants"]):
        assert file["url"].endswith(f"&token={after}")
    assert replaced["imageUrl"] == replaced["image"]["url"]
    assert api.result("getGenerationRequest", {"generationRequestId": made["generationRequestId"]}) == replaced


def test_rest_api_replaces_urls(api: Api, files: FileStore) -> None:
    path = f"/v1/generations/{api.result('createGenerationRequest', SMALL)['generationRequestId']}"
    replaced = api.rest("POST", f"{path}/replace-image-urls")
    [token] = {token for _, token in files.files.values()}
    assert replaced.status_code == 200
    assert replaced.get_json()["image_url"].endswith(f"&token={token}")
    assert replaced.get_json() == api.rest("GET", path).get_json()
    refused = api.rest("POST", "/v1/generations/unknown/replace-image-urls")
    assert (refused.status_code, refused.get_json()["reason"]) == (404, "REQUEST_NOT_FOUND")


def test_recorded_url_works_whatever_fails_while_urls_are_replaced(
    api: Api, faulty: FaultyDatabase, files: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = {"generationRequestId": api.result("createGenerationRequest", SMALL)["generationRequestId"]}

    def works() -> bool:
        url = api.result("getGenerationRequest", request_id)["imageUrl"]
        return all(url.rpartition("token=")[2] in tokens.split(",") for _, tokens in files.files.values())

    faulty.faults = [refuse] * 1000
    assert api.error("replaceImageUrls", request_id)["details"]["reason"] == "CONTENTION"
    faulty.faults = [Lost.AFTER]
    assert works()
    before = {token for _, token in files.files.values()}
    permit = files.permit
    withdraws = False

    def fail_to_withdraw(path: str, *tokens: str) -> None:
        if len(tokens) == 1 and not withdraws:
            raise ObjectStoreUnavailable("down")
        permit(path, *tokens)

    monkeypatch.setattr(files, "permit", fail_to_withdraw)
    assert api.error("replaceImageUrls", request_id)["details"]["reason"] == "SERVICE_UNAVAILABLE"
    assert works()
    withdraws = True
    api.result("replaceImageUrls", request_id)
    assert works()
    assert before.isdisjoint({token for _, token in files.files.values()})


def test_only_the_owner_replaces_the_urls_of_a_stored_image(api: Api) -> None:
    elsewhere = api.result("createGenerationRequest", order(model="Model B"))["generationRequestId"]
    charge = {"cost": 3, "refundedCredits": 0, "netCredits": 3}
    for request_id, facts in (
        (elsewhere, {"reason": "NO_STORED_IMAGE", **charge}),
        ("unknown", {"reason": "REQUEST_NOT_FOUND"}),
    ):
        error = api.error("replaceImageUrls", {"generationRequestId": request_id})
        assert error["details"] == {**facts, "generationRequestId": request_id}
