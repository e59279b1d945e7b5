"""Whatever is sent: it is understood in one way, or refused as invalid, and nothing else ever happens.

The same examples on every run.
"""

import base64
import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, cast

import pytest
from firebase_functions.https_fn import CallableRequest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from pydantic_core import from_json

from imagegen.api import fields, page_tokens, requests
from imagegen.api.auth import Access, Caller
from imagegen.api.context import Context
from imagegen.api.firebase import BODY_BYTES_MAX
from imagegen.api.operation import Operation
from imagegen.api.validation import VIOLATIONS_MAX, parse
from imagegen.domain.generation import keyed_request_id
from imagegen.errors import InvalidInput
from tests.support.scale import scaled
from tools.docs import openapi
from tools.seed import history

settings.register_profile(
    "parsing",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=scaled(15, 60),
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("parsing")

CONTEXT = Context(Caller("user"), history.catalog)
DOCUMENT = openapi.document()
MODELS: list[type[BaseModel]] = [*(operation.request for operation in openapi.operations().values()), requests.Repeat]

ORDER = {"model": "Model A", "style": "anime", "color": "neon", "size": "512x512", "prompt": "a fox"}
GRANT = {"userId": "user", "credits": 1, "bucket": "paid", "reason": "thanks", "idempotencyKey": "key"}
INT64 = "type.googleapis.com/google.protobuf.Int64Value"

# Characters that mean trouble somewhere: controls, blanks, marks of direction, joiners, halves of pairs, planes.
TROUBLE = "\x00\x07\t\n\r\x1b\x7f\x85\xa0\xad\u061c\u200b\u200d\u200e\u202a\u202e\u2028\u2066\ufeff\ue000\ud83d\udd25"
TEXTS = st.text(st.one_of(st.characters(), st.sampled_from(TROUBLE + " ._/-@:#?%\\é\u0301🦊\u05d0")), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def parsed(shape: type[BaseModel], data: object) -> Any:
    """The request, or None where it is refused."""
    try:
        return parse(shape, data, CONTEXT)
    except InvalidInput:
        return None


def field(shape: type[BaseModel], data: dict[str, Any], name: str, value: object) -> bool:
    """Whether that value of a field is accepted among ``data`` that is. Of what is refused, that field alone is."""
    try:
        parse(shape, {**data, name: value}, CONTEXT)
    except InvalidInput as refusal:
        refused = {violation["field"] for violation in refusal.details["violations"]}
    else:
        refused = set()
    assert refused <= {name}
    return not refused


def pattern(shape: str, name: str) -> Draft202012Validator:
    return Draft202012Validator(DOCUMENT["components"]["schemas"][shape]["properties"][name])


# Anything at all


@pytest.mark.parametrize("shape", MODELS, ids=lambda shape: shape.__name__)
@given(data=st.data())
def test_anything_is_understood_or_invalid_input(shape: type[BaseModel], data: st.DataObject) -> None:
    names = [info.alias or name for name, info in shape.model_fields.items()]
    known = st.fixed_dictionaries({}, optional=dict.fromkeys(names, JSON))
    sent = data.draw(st.one_of(JSON, known, st.builds(lambda one, other: {**one, **other}, JSON_OBJECTS, known)))
    try:
        parse(shape, sent, CONTEXT)
    except InvalidInput as refusal:
        violations = refusal.details["violations"]
        assert 0 < len(violations) <= VIOLATIONS_MAX
        assert all(violation["message"] for violation in violations)
        json.dumps(dict(refusal.details))
        str(refusal)


JSON_OBJECTS = st.dictionaries(TEXTS, JSON, max_size=3)


@given(body=st.one_of(st.binary(max_size=300), JSON.map(lambda value: json.dumps(value).encode())))
@example(b'{"data": "\\ud83d"}')
@example(b'{"data": ' + b"9" * 4_301 + b"}")
@example(b"[" * 10_000 + b"]" * 10_000)
def test_a_body_is_json_without_half_characters_or_a_value_error(body: bytes) -> None:
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError:
        return
    for text in re.findall(r'"(?:[^"\\]|\\.)*"', json.dumps(value)):
        json.loads(text).encode()  # has no half of a surrogate pair
    requests.fingerprint(value)  # nor a number that cannot be written again


@given(data=JSON_OBJECTS, order=st.randoms(use_true_random=False))
def test_the_fingerprint_is_of_the_content_alone(data: dict[str, Any], order: Any) -> None:
    shuffled = list(data.items())
    order.shuffle(shuffled)
    assert requests.fingerprint(dict(shuffled)) == requests.fingerprint(data)
    assert requests.fingerprint({**data, "more": 1}) != requests.fingerprint({**data, "more": 2})


# What is understood is understood in one way

VALID_IDS = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="/"), min_size=1, max_size=fields.ID_LENGTH_MAX
).filter(fields.is_document_id)
KEYS = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1, max_size=255)
PROMPTS = st.text(st.characters(exclude_categories=["Cc", "Cs"], include_characters="\t\n\r"), max_size=2_000).filter(
    str.strip
)


@given(user=VALID_IDS, prompt=PROMPTS, key=st.none() | KEYS)
def test_an_order_keeps_every_text_as_it_was_sent(user: str, prompt: str, key: str | None) -> None:
    sent = {**ORDER, "userId": user, "prompt": prompt, "idempotencyKey": key}
    through_the_wire = from_json(json.dumps(sent).encode())

    params = parse(requests.CreateGenerationRequest, through_the_wire, CONTEXT)

    assert (params.user_id, params.prompt, params.idempotency_key) == (user, prompt, key)
    assert params == parse(requests.CreateGenerationRequest, sent, CONTEXT)


@given(
    grant=st.fixed_dictionaries(
        {
            "userId": VALID_IDS,
            "credits": st.integers(1, fields.GRANT_MAX),
            "bucket": st.sampled_from(["trial", "paid"]),
            "reason": PROMPTS.map(lambda text: text[:500]).filter(str.strip),
            "idempotencyKey": KEYS,
        }
    )
)
def test_a_grant_parses_again_as_what_it_was(grant: dict[str, Any]) -> None:
    params = parse(requests.GrantCredits, grant, CONTEXT)
    again = params.model_dump(mode="json", by_alias=True)
    assert again == grant
    assert parse(requests.GrantCredits, again, CONTEXT) == params


MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(
    query=st.fixed_dictionaries(
        {},
        optional={
            "userId": VALID_IDS,
            "status": st.sampled_from(["processing", "completed", "failed"]),
            **{kind: PROMPTS.map(lambda text: text[:200]) for kind in ("model", "style", "color", "size")},
            "createdFrom": MOMENTS.map(datetime.isoformat),
            "createdBefore": MOMENTS.map(datetime.isoformat),
            "includeTotalCount": st.booleans(),
            "pageSize": st.integers(1, fields.PAGE_SIZE_MAX),
        },
    ),
    at=MOMENTS,
    request_id=VALID_IDS,
)
def test_a_list_goes_on_where_its_token_says_and_is_otherwise_the_same(
    query: dict[str, Any], at: datetime, request_id: str
) -> None:
    params = parse(requests.ListGenerationRequests, query, CONTEXT)
    going_on = {**query, "pageToken": params.token(at, request_id), "pageSize": 7}

    next_params = parse(requests.ListGenerationRequests, going_on, CONTEXT)

    assert next_params.after == (at, request_id)
    assert next_params.filter == params.filter
    assert next_params.token(at, request_id) == going_on["pageToken"]
    assert not field(
        requests.ListGenerationRequests, going_on | {"userId": "somebody else"}, "pageToken", going_on["pageToken"]
    )


# Ids


@given(value=TEXTS)
@example("a" * 128)
@example("a" * 129)
@example("__all__")
@example("____")
@example("..")
@example("a\n")
def test_an_id_is_short_printable_and_no_path(value: str) -> None:
    accepted = field(requests.GetGenerationRequest, {}, "generationRequestId", value)

    assert accepted == fields.is_document_id(value)
    assert accepted == field(requests.GetUserCredits, {}, "userId", value)
    if accepted:
        assert 1 <= len(value) <= 128
        assert value.isprintable()
        assert "/" not in value
        assert value not in (".", "..")
        assert not (len(value) >= 4 and value.startswith("__") and value.endswith("__"))
        assert pattern("GetGenerationRequest", "generationRequestId").is_valid(value)


@pytest.mark.parametrize(
    "character",
    ["\u202e", "\u2066", "\u200e", "\u200b", "\u200d", "\ufeff", "\xad", "\u2028", "\xa0", "\ud83d", "\ue000"],
)
def test_ids_and_keys_hold_nothing_that_cannot_be_seen_and_prompts_do(character: str) -> None:
    value = f"user{character}100"
    assert not field(requests.GetUserCredits, {}, "userId", value)
    assert not field(requests.GrantCredits, GRANT, "idempotencyKey", value)
    is_half = unicodedata.category(character) == "Cs"
    assert field(requests.CreateGenerationRequest, ORDER, "prompt", value) != is_half


@given(value=st.none() | JSON, uid=st.none() | VALID_IDS)
def test_nobody_is_named_but_by_a_string_or_by_being_signed_in(value: Any, uid: str | None) -> None:
    context = Context(Caller(uid), history.catalog)
    try:
        params = parse(requests.GetCreditBalance, {"userId": value}, context)
    except InvalidInput:
        assert value is not None or uid is None
        return
    assert params.user_id == (uid if value is None else value)
    assert isinstance(params.user_id, str)


# Page tokens


@given(user=VALID_IDS, seq=st.integers(1, 2**63 - 1))
def test_a_history_goes_on_where_its_token_says(user: str, seq: int) -> None:
    token = parse(requests.GetUserCredits, {"userId": user}, CONTEXT).token(seq)
    assert parse(requests.GetUserCredits, {"userId": user, "pageToken": token}, CONTEXT).before_seq == seq
    assert re.fullmatch("[A-Za-z0-9_-]+", token)


@given(token=TEXTS | st.binary(max_size=200).map(lambda text: base64.urlsafe_b64encode(text).decode()))
@example("A" * 5_000)
@example(base64.urlsafe_b64encode(b"[" * 2_900).decode())
@example("W10")
@example("é")
def test_any_text_is_a_token_or_a_value_error(token: str) -> None:
    try:
        position = page_tokens.decode(token, {"user_id": "user"})
    except ValueError:
        assert parsed(requests.GetUserCredits, {"pageToken": token}) is None
        return
    assert page_tokens.encode({"user_id": "user"}, *position) == token


TOKEN = page_tokens.encode({"user_id": "user"}, 17)


@given(place=st.integers(0, len(TOKEN) - 1), character=st.characters(codec="ascii"))
def test_a_token_with_another_character_is_refused(place: int, character: str) -> None:
    token = TOKEN[:place] + character + TOKEN[place + 1 :]
    accepted = parsed(requests.GetUserCredits, {"pageToken": token})
    # There is no secret in it: another number of the same query is a place in the same history.
    assert accepted is None or page_tokens.encode({"user_id": "user"}, accepted.before_seq) == token


@given(position=st.lists(JSON, max_size=3))
@example([0])
@example([2**63])
@example([True])
@example([1.0])
@example([10**400, "id"])
@example([-(10**20), "id"])
def test_a_position_is_a_place_or_a_value_error(position: list[Any]) -> None:
    for place_of in (page_tokens.entry_number, page_tokens.moment_and_id):
        try:
            place = place_of(position)
        except ValueError:
            continue
        match place:
            case int(seq):
                assert [seq] == position
                assert 0 < seq < 2**63
            case (datetime() as at, id):
                assert [page_tokens.moment(at), id] == position


@pytest.mark.parametrize(
    ("shape", "data", "name"),
    [
        (requests.CreateGenerationRequest, ORDER, "mode"),
        (requests.GetWebhookSecret, {}, "rotate"),
        (requests.ListGenerationRequests, {}, "includeTotalCount"),
    ],
)
def test_null_is_as_good_as_left_out(shape: type[BaseModel], data: dict[str, Any], name: str) -> None:
    assert parse(shape, {**data, name: None}, CONTEXT) == parse(shape, data, CONTEXT)


# Numbers


@given(value=st.integers(-(2**70), 2**70) | st.integers(-5, 205))
@example(10**400)
@example(200)
@example(201)
@example(0)
@example(1_000_000)
@example(1_000_001)
def test_numbers_are_taken_within_their_limits_alone(value: int) -> None:
    assert field(requests.GetUserCredits, {}, "pageSize", value) == (1 <= value <= 200)
    assert field(requests.GrantCredits, GRANT, "credits", value) == (1 <= value <= 1_000_000)


@given(value=st.integers(-(2**70), 2**70) | st.integers(-5, 205))
def test_the_long_form_of_a_number_is_the_number(value: int) -> None:
    long_form = {"@type": INT64, "value": str(value)}
    plain = parsed(requests.GetUserCredits, {"pageSize": value})
    assert parsed(requests.GetUserCredits, {"pageSize": long_form}) == plain


@given(value=JSON | st.fixed_dictionaries({"@type": st.just(INT64), "value": JSON}))
@example({"@type": INT64, "value": "9" * 5_000})
@example({"@type": INT64, "value": "\u0667"})
@example({"@type": INT64, "value": "²"})
@example({"@type": INT64, "value": "7", "more": 1})
@example("7")
@example(7.0)
@example(True)
def test_nothing_else_is_a_number(value: Any) -> None:
    params = parsed(requests.GetUserCredits, {"pageSize": value})
    if params is not None and value is not None:
        assert type(value) is int or (
            value == {"@type": INT64, "value": value["value"]} and re.fullmatch("[0-9]+", value["value"])
        )


# Moments

ZONES = st.integers(-1_439, 1_439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(at=st.datetimes(timezones=ZONES), digits=st.sampled_from(["milliseconds", "microseconds", "seconds"]))
def test_a_moment_is_the_same_in_every_zone(at: datetime, digits: str) -> None:
    text = at.isoformat(timespec=digits)
    try:
        expected = datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:
        assert not field(requests.ListGenerationRequests, {}, "createdFrom", text)
        return
    assert parse(requests.ListGenerationRequests, {"createdFrom": text}, CONTEXT).created_from == expected


@given(
    text=st.from_regex(
        r"[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9](:[0-6][0-9])?([.,][0-9]*)?(Z|z|[+-][0-9:]{2,8})?"
    )
    | TEXTS
)
@example("2026-11-09T00:00:00Z\n")
@example("\u0662\u0660\u0662\u0666-11-09T00:00:00Z")
@example("2026-11-09T00:00:00")
@example("2026-11-09 00:00:00Z")
@example("2026-11-09T00:00:00+0100")
@example("2026-11-09T00:00:00,5Z")
@example("2026-W46-1T00:00:00Z")
@example("2026-11-09T24:00:00Z")
@example("0001-01-01T00:00:00+23:59")
def test_a_moment_is_written_as_rfc_3339_has_it(text: str) -> None:
    if field(requests.ListGenerationRequests, {}, "createdFrom", text):
        assert re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})", text)
        assert pattern("ListGenerationRequests", "createdFrom").is_valid(text)


# Texts


@given(value=TEXTS)
@example("\u202b\u05e9\u05dc\u05d5\u05dd\u202c")
@example("\u200e \u200f")
@example(" \u2003\n")
@example("a" * 2_000)
@example("🦊" * 2_001)
def test_a_prompt_is_text_that_can_be_read(value: str) -> None:
    accepted = field(requests.CreateGenerationRequest, ORDER, "prompt", value)
    has_half = any(unicodedata.category(character) == "Cs" for character in value)
    has_control = any(unicodedata.category(character) == "Cc" and character not in "\t\n\r" for character in value)
    assert accepted == (bool(value.strip()) and len(value) <= 2_000 and not has_half and not has_control)
    if not has_half:
        assert pattern("CreateGenerationRequest", "prompt").is_valid(value) == accepted


@pytest.mark.parametrize("control", [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))], ids=ascii)
def test_no_control_character_but_breaks_and_tabs_is_in_a_text(control: str) -> None:
    for shape, data, name in (
        (requests.CreateGenerationRequest, ORDER, "prompt"),
        (requests.GrantCredits, GRANT, "reason"),
    ):
        assert field(shape, data, name, f"a{control}fox") == (control in "\t\n\r")


@given(key=KEYS)
@example("é")
@example("ﬁ")
@example("\uff21")
def test_forms_of_the_same_text_are_different_keys(key: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        other = unicodedata.normalize(form, key)
        assert (keyed_request_id("user", other) == keyed_request_id("user", key)) == (other == key)


@given(value=TEXTS)
def test_a_key_is_printable(value: str) -> None:
    accepted = field(requests.GrantCredits, GRANT, "idempotencyKey", value)
    assert accepted == (1 <= len(value) <= 255 and value.isprintable())
    if accepted:
        assert pattern("GrantCredits", "idempotencyKey").is_valid(value)


@given(value=TEXTS.map(lambda text: "https://" + text) | TEXTS)
@example("https://example.com/a b")
@example("https://user:secret@example.com/")
@example("https://user@example.com/")
@example("https:example.com")
@example("https:\\\\example.com")
@example("HTTPS://example.com")
@example("https:///example.com")
@example("http://example.com")
@example("javascript:alert(1)")
@example("https://medium.example/@somebody")
@example("https://bücher.example/ä?ö#ü")
@example("https://[::1]/")
@example("https://example.com\\@evil.example/")
def test_a_photo_is_at_an_https_url_without_a_user(value: str) -> None:
    sent = {**ORDER, "input": {"type": "photo", "photoUrl": value}}
    if parsed(requests.CreateGenerationRequest, sent):
        assert re.match("https://[^/?#]", value)
        assert "@" not in re.split("[/?#]", value)[2]
        assert value.isprintable()
        assert pattern("PhotoInput", "photoUrl").is_valid(value)


# The Idempotency-Key header


class Echo(BaseModel):
    """Stands for the answer: what an operation was called with."""

    key: str | None

    def wire(self) -> dict[str, Any]:
        return self.model_dump()


ECHO: Operation[Any, Any] = Operation(
    request=requests.CreateGenerationRequest,
    response=cast("Any", Echo),
    access=Access.OWNER,
    spends=False,
    own_errors=(),
    description="",
    handle=lambda _backend, call: cast("Any", Echo(key=call.params.idempotency_key)),
)


def key_taken(header: str | None, *field: object) -> object:
    """The key that a call is made under, with that header and that field; False where the call is refused."""
    data = {**ORDER, "userId": "user"} | ({"idempotencyKey": field[0]} if field else {})
    headers = {} if header is None else {"Idempotency-Key": header}
    call = CallableRequest(data=data, raw_request=cast("Any", SimpleNamespace(headers=headers)))
    backend = SimpleNamespace(catalogs=SimpleNamespace(current=history.catalog))
    try:
        return ECHO(cast("Any", backend), call)["key"]
    except InvalidInput as refusal:
        [violation] = refusal.details["violations"]
        assert violation["field"] == "idempotencyKey"
        return False


@pytest.fixture(autouse=True)
def _open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE_AUTH", "false")


@given(key=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=255))
def test_a_key_is_the_same_in_the_header_in_the_field_and_in_both(key: str) -> None:
    assert key_taken(None, key) == key_taken(key) == key_taken(key, None) == key_taken(key, key) == key


@given(header=TEXTS, value=JSON)
@example("é", "é")
@example("", "key")
@example(" key", "key")
def test_a_header_is_the_key_or_refused(header: str, value: Any) -> None:
    assert key_taken(header) in (header, False)
    assert key_taken(header, value) in (header, False)
    if key_taken(header):
        assert header.isascii()
        assert pattern_of_header().is_valid(header)
    if value not in (None, header):
        assert key_taken(header, value) is False


def pattern_of_header() -> Draft202012Validator:
    return Draft202012Validator(DOCUMENT["components"]["parameters"]["idempotencyKey"]["schema"])


def test_the_longest_valid_call_fits_into_a_body() -> None:
    longest = {
        **ORDER,
        "userId": "🦊" * 128,
        "prompt": "🦊" * 2_000,
        "input": {"type": "address", "address": "🦊" * 500},
        "idempotencyKey": "🦊" * 255,
    }
    assert parsed(requests.CreateGenerationRequest, longest)
    assert len(json.dumps({"data": longest}).encode()) <= BODY_BYTES_MAX
