"""Property tests of validation: any data is either parsed unambiguously or refused as InvalidInput.

Every run uses the same examples.
"""

import base64
import json
import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock
from urllib.parse import urlsplit

import pytest
from flask import Request
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from pydantic_core import from_json
from werkzeug.test import EnvironBuilder

from imagegen.api import fields, fingerprints, idempotency, page_tokens
from imagegen.api.accounts import GetCreditBalance, GrantCredits
from imagegen.api.auth import Access, Caller
from imagegen.api.bodies import BYTES_MAX
from imagegen.api.context import Context
from imagegen.api.envelope import data_of
from imagegen.api.operation import Operation, Received
from imagegen.api.orders import CreateGenerationRequest
from imagegen.api.requests import Repeat
from imagegen.api.stored_generations import GetGenerationRequest, ListGenerationRequests
from imagegen.api.transactions import GetUserCredits
from imagegen.api.validation import VIOLATIONS_MAX, parse
from imagegen.api.webhook_endpoints import GetWebhookSecret
from imagegen.api.weekly_reports import ListWeeklyReports
from imagegen.domain.catalog import Kind
from imagegen.domain.generation import GenerationRequest, keyed_request_id
from imagegen.domain.public_addresses import is_public_host
from imagegen.errors import InvalidInput
from imagegen.services.pagination import Page
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
MODELS: list[type[BaseModel]] = [*(operation.request for operation in openapi.operations().values()), Repeat]

ORDER = {"model": "Model A", "style": "anime", "color": "neon", "size": "512x512", "prompt": "a fox"}
GRANT = {"userId": "user", "credits": 1, "bucket": "paid", "reason": "thanks", "idempotencyKey": "key"}
LONG_FORMS = [f"type.googleapis.com/google.protobuf.{name}" for name in ("Int64Value", "UInt64Value")]

# Special characters: control, blank, direction marks, joiners, lone surrogates, private use.
SPECIAL_CHARACTERS = (
    "\x00\x07\t\n\r\x1b\x7f\x85\xa0\xad\u061c\u200b\u200d\u200e\u202a\u202e\u2028\u2066\ufeff\ue000\ud83d\udd25"
)
TEXTS = st.text(
    st.one_of(st.characters(), st.sampled_from(SPECIAL_CHARACTERS + " ._/-@:#?%\\é\u0301🦊\u05d0")), max_size=40
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def parsed(model: type[BaseModel], data: object) -> Any:
    """Return the request, or None if it is refused."""
    try:
        return parse(model, data, CONTEXT)
    except InvalidInput:
        return None


def accepts(model: type[BaseModel], data: dict[str, Any], name: str, value: object) -> bool:
    """Return whether the field accepts the value. ``data`` must be valid, so that no other field is refused."""
    try:
        parse(model, {**data, name: value}, CONTEXT)
    except InvalidInput as refusal:
        refused = {violation["field"] for violation in refusal.details["violations"]}
    else:
        refused = set()
    assert refused <= {name}
    return not refused


def schema_validator(model: str, name: str) -> Draft202012Validator:
    return Draft202012Validator(DOCUMENT["components"]["schemas"][model]["properties"][name])


# Any data


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@given(data=st.data())
def test_any_data_is_parsed_or_raises_invalid_input(model: type[BaseModel], data: st.DataObject) -> None:
    names = [info.alias or name for name, info in model.model_fields.items()]
    known = st.fixed_dictionaries({}, optional=dict.fromkeys(names, JSON))
    sent = data.draw(st.one_of(JSON, known, st.builds(lambda one, other: {**one, **other}, JSON_OBJECTS, known)))
    try:
        parse(model, sent, CONTEXT)
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
def test_any_body_is_parsed_or_raises_value_error(body: bytes) -> None:
    request = Request(EnvironBuilder(method="POST", data=body, content_type="application/json").get_environ())
    try:
        value = data_of(request)
    except InvalidInput as refusal:
        json.dumps(dict(refusal.details))
        return
    fingerprints.sent(value)  # raises if the value cannot be written as JSON


@given(data=JSON_OBJECTS, order=st.randoms(use_true_random=False))
def test_fingerprint_depends_only_on_the_content(data: dict[str, Any], order: Any) -> None:
    shuffled = list(data.items())
    order.shuffle(shuffled)
    catalog = history.catalog()
    assert fingerprints.fingerprint(dict(shuffled), catalog) == fingerprints.fingerprint(data, catalog)
    one, two = (fingerprints.fingerprint({**data, "more": number}, catalog) for number in (1, 2))
    assert not one.matches(two)


CREATES = st.fixed_dictionaries(
    {kind.value: st.sampled_from(history.catalog().options(kind)) for kind in Kind}
    | {"prompt": st.sampled_from(["a fox", "a fox ", "A fox"]), "mode": st.sampled_from(["sync", "async"])}
    | {"input": st.sampled_from([None, {"type": "address", "address": "1 Road"}])}
)
"""Payloads, with options of the catalog."""


def written(payload: dict[str, Any], rng: Any) -> dict[str, Any]:
    """Return a payload as a caller may write it: with names or ids, and with or without nulls and defaults."""
    data = {
        name: rng.choice([value.name, value.id]) if hasattr(value, "name") else value for name, value in payload.items()
    }
    redundant = {"mode": data["mode"] == "sync", "input": data["input"] is None}
    for name, may_be_left_out in redundant.items():
        if may_be_left_out and rng.random() < 0.5:
            data[name] = None
        if may_be_left_out and rng.random() < 0.5:
            del data[name]
    return {**data, **rng.choice([{}, {"userId": None}, {"userId": "user"}, {"maxCredits": 4}])}


@given(one=CREATES, other=CREATES, rng=st.randoms(use_true_random=False))
def test_payloads_match_however_they_are_written_and_only_if_they_are_equal(
    one: dict[str, Any], other: dict[str, Any], rng: Any
) -> None:
    prints = [fingerprints.fingerprint(written(payload, rng), history.catalog()) for payload in (one, one, other)]
    assert prints[0].matches(prints[1])
    assert prints[0].matches(prints[2]) == (one == other)


# Unambiguous parsing

VALID_IDS = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="/"), min_size=1, max_size=fields.ID_LENGTH_MAX
).filter(fields.is_document_id)
KEYS = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1, max_size=255)
PROMPTS = st.text(st.characters(exclude_categories=["Cc", "Cs"], include_characters="\t\n\r"), max_size=2_000).filter(
    str.strip
)


@given(user=VALID_IDS, prompt=PROMPTS, key=st.none() | KEYS)
def test_order_keeps_every_text_unchanged(user: str, prompt: str, key: str | None) -> None:
    sent = {**ORDER, "userId": user, "prompt": prompt, "idempotencyKey": key}
    received = from_json(json.dumps(sent).encode())

    params = parse(CreateGenerationRequest, received, CONTEXT)

    assert (params.user_id, params.prompt, params.idempotency_key) == (user, prompt, key)
    assert params == parse(CreateGenerationRequest, sent, CONTEXT)


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
def test_grant_survives_a_round_trip(grant: dict[str, Any]) -> None:
    params = parse(GrantCredits, grant, CONTEXT)
    again = params.model_dump(mode="json", by_alias=True)
    assert again == grant
    assert parse(GrantCredits, again, CONTEXT) == params


MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(
    query=st.fixed_dictionaries(
        {},
        optional={
            "userId": VALID_IDS,
            "status": st.sampled_from(["processing", "completed", "failed"]),
            **{kind.value: st.sampled_from(history.catalog().names(kind)) for kind in Kind},
            "createdFrom": MOMENTS.map(datetime.isoformat),
            "createdBefore": MOMENTS.map(datetime.isoformat),
            "includeTotalCount": st.booleans(),
            "pageSize": st.integers(1, fields.PAGE_SIZE_MAX),
        },
    ),
    at=MOMENTS,
    request_id=VALID_IDS,
)
def test_list_continues_at_its_page_token(query: dict[str, Any], at: datetime, request_id: str) -> None:
    params = parse(ListGenerationRequests, query, CONTEXT)
    page = Page[GenerationRequest]([], (at, request_id))
    next_query = {**query, "pageToken": params.next_token(page), "pageSize": 7}

    next_params = parse(ListGenerationRequests, next_query, CONTEXT)

    assert next_params.after == (at, request_id)
    assert next_params.filter == params.filter
    assert next_params.next_token(page) == next_query["pageToken"]
    assert not accepts(
        ListGenerationRequests, next_query | {"userId": "somebody else"}, "pageToken", next_query["pageToken"]
    )


# Ids


@given(value=TEXTS)
@example("a" * 128)
@example("a" * 129)
@example("__all__")
@example("____")
@example("..")
@example("a\n")
def test_id_is_short_and_printable_and_not_a_path(value: str) -> None:
    accepted = accepts(GetGenerationRequest, {}, "generationRequestId", value)

    assert accepted == fields.is_document_id(value)
    assert accepted == accepts(GetUserCredits, {}, "userId", value)
    if accepted:
        assert 1 <= len(value) <= 128
        assert value.isprintable()
        assert "/" not in value
        assert value not in (".", "..")
        assert not (len(value) >= 4 and value.startswith("__") and value.endswith("__"))
        assert schema_validator("GetGenerationRequest", "generationRequestId").is_valid(value)


@pytest.mark.parametrize(
    "character",
    ["\u202e", "\u2066", "\u200e", "\u200b", "\u200d", "\ufeff", "\xad", "\u2028", "\xa0", "\ud83d", "\ue000"],
)
def test_invisible_characters_are_refused_in_ids_and_keys_and_allowed_in_prompts(character: str) -> None:
    value = f"user{character}100"
    assert not accepts(GetUserCredits, {}, "userId", value)
    assert not accepts(GrantCredits, GRANT, "idempotencyKey", value)
    is_half = unicodedata.category(character) == "Cs"
    assert accepts(CreateGenerationRequest, ORDER, "prompt", value) != is_half


@given(value=st.none() | JSON, uid=st.none() | VALID_IDS)
def test_user_id_is_a_string_or_the_callers_uid(value: Any, uid: str | None) -> None:
    context = Context(Caller(uid), history.catalog)
    try:
        params = parse(GetCreditBalance, {"userId": value}, context)
    except InvalidInput:
        assert value is not None or uid is None
        return
    assert params.user_id == (uid if value is None else value)
    assert isinstance(params.user_id, str)


# Page tokens


@given(user=VALID_IDS, seq=st.integers(1, 2**63 - 1) | st.floats(1, 2**62))
def test_history_continues_at_its_page_token(user: str, seq: float) -> None:
    token = parse(GetUserCredits, {"userId": user}, CONTEXT).next_token(Page([], (seq, "entry")))
    assert token is not None
    assert parse(GetUserCredits, {"userId": user, "pageToken": token}, CONTEXT).before_seq == seq
    assert re.fullmatch("[A-Za-z0-9_-]+", token)


@given(token=TEXTS | st.binary(max_size=200).map(lambda text: base64.urlsafe_b64encode(text).decode()))
@example("A" * 5_000)
@example(base64.urlsafe_b64encode(b"[" * 2_900).decode())
@example("W10")
@example("é")
@example("")
def test_any_text_is_decoded_or_raises_value_error(token: str) -> None:
    try:
        position = page_tokens.decode(token, {"user_id": "user"})
    except ValueError:
        assert (parsed(GetUserCredits, {"pageToken": token}) is None) == (token != "")
        return
    assert page_tokens.encode({"user_id": "user"}, *position) == token


TOKEN = page_tokens.encode({"user_id": "user"}, 17)


@given(place=st.integers(0, len(TOKEN) - 1), character=st.characters(codec="ascii"))
def test_changed_token_is_refused(place: int, character: str) -> None:
    token = TOKEN[:place] + character + TOKEN[place + 1 :]
    accepted = parsed(GetUserCredits, {"pageToken": token})
    # A token is not secret. Another position in the same query is a valid token of the same history.
    assert accepted is None or page_tokens.encode({"user_id": "user"}, accepted.before_seq) == token


@given(position=st.lists(JSON, max_size=3))
@example([0])
@example([2**63])
@example([True])
@example([1.0])
@example([0.5])
@example([float("nan")])
@example([float("inf")])
@example([10**400, "id"])
@example([-(10**20), "id"])
def test_any_position_is_parsed_or_raises_value_error(position: list[Any]) -> None:
    for place_of in (page_tokens.entry_number, page_tokens.moment_and_id):
        try:
            place = place_of(position)
        except ValueError:
            continue
        match place:
            case (int() | float()) as seq:
                assert [seq] == position
                assert 0 < seq < 2**63
            case (datetime() as at, id):
                assert [page_tokens.moment(at), id] == position


@pytest.mark.parametrize(
    ("model", "data", "name"),
    [
        (CreateGenerationRequest, ORDER, "mode"),
        (GetWebhookSecret, {}, "rotate"),
        (ListGenerationRequests, {}, "includeTotalCount"),
    ],
)
def test_null_equals_an_omitted_field(model: type[BaseModel], data: dict[str, Any], name: str) -> None:
    assert parse(model, {**data, name: None}, CONTEXT) == parse(model, data, CONTEXT)


# Numbers


@given(value=st.integers(-(2**70), 2**70) | st.integers(-5, 205))
@example(10**400)
@example(200)
@example(201)
@example(0)
@example(1_000_000)
@example(1_000_001)
def test_integer_is_accepted_only_within_its_limits(value: int) -> None:
    assert accepts(GetUserCredits, {}, "pageSize", value) == (value >= 0)
    assert accepts(GrantCredits, GRANT, "credits", value) == (1 <= value <= 1_000_000)


@given(value=st.integers(-(2**63), 2**64 - 1) | st.integers(-5, 205))
def test_every_form_of_an_integer_is_the_integer(value: int) -> None:
    plain = parsed(GetUserCredits, {"pageSize": value})
    for form in LONG_FORMS:
        assert parsed(GetUserCredits, {"pageSize": {"@type": form, "value": str(value)}}) == plain
    if float(value) == value:
        assert parsed(GetUserCredits, {"pageSize": float(value)}) == plain


@pytest.mark.parametrize(
    ("sent", "page_size"),
    [(None, 50), (0, 50), (0.0, 50), (1, 1), (2e1, 20), (200, 200), (201, 200), (10**30, 200), (1e300, 200)],
)
def test_page_size_has_a_default_and_a_maximum(sent: object, page_size: int) -> None:
    assert parse(GetUserCredits, {"pageSize": sent}, CONTEXT).page_size == page_size


def test_page_of_reports_has_a_default_of_its_own() -> None:
    assert {parse(ListWeeklyReports, {"pageSize": size}, CONTEXT).page_size for size in (None, 0)} == {10}


@given(value=JSON | st.fixed_dictionaries({"@type": st.sampled_from(LONG_FORMS), "value": JSON}))
@example({"@type": LONG_FORMS[0], "value": "9" * 5_000})
@example({"@type": LONG_FORMS[1], "value": "\u0667"})
@example({"@type": LONG_FORMS[0], "value": "²"})
@example({"@type": LONG_FORMS[0], "value": "7", "more": 1})
@example("7")
@example(7.5)
@example(True)
def test_other_values_are_not_integers(value: Any) -> None:
    params = parsed(GetUserCredits, {"pageSize": value})
    match value:
        case bool():
            assert params is None
        case {"@type": str(form), "value": str(digits)} if form in LONG_FORMS and len(value) == 2:
            assert params is None or re.fullmatch("-?[0-9]+", digits)
        case _:
            assert params is None or value is None or (isinstance(value, int | float) and value == int(value))


# Timestamps

ZONES = st.integers(-1_439, 1_439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(at=st.datetimes(timezones=ZONES), digits=st.sampled_from(["milliseconds", "microseconds", "seconds"]))
def test_timestamp_is_converted_from_every_time_zone(at: datetime, digits: str) -> None:
    text = at.isoformat(timespec=digits)
    try:
        expected = datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:
        assert not accepts(ListGenerationRequests, {}, "createdFrom", text)
        return
    assert parse(ListGenerationRequests, {"createdFrom": text}, CONTEXT).created_from == expected


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
def test_accepted_timestamp_is_in_rfc_3339_format(text: str) -> None:
    if accepts(ListGenerationRequests, {}, "createdFrom", text):
        assert re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})", text)
        assert schema_validator("ListGenerationRequests", "createdFrom").is_valid(text)


# Texts


@given(value=TEXTS)
@example("\u202b\u05e9\u05dc\u05d5\u05dd\u202c")
@example("\u200e \u200f")
@example(" \u2003\n")
@example("a" * 2_000)
@example("🦊" * 2_001)
def test_prompt_is_visible_and_without_control_characters(value: str) -> None:
    accepted = accepts(CreateGenerationRequest, ORDER, "prompt", value)
    has_half = any(unicodedata.category(character) == "Cs" for character in value)
    has_control = any(unicodedata.category(character) == "Cc" and character not in "\t\n\r" for character in value)
    assert accepted == (is_visible(value) and len(value) <= 2_000 and not has_half and not has_control)
    if not has_half and not any(ord(character) > 0xFFFF for character in value):
        assert schema_validator("CreateGenerationRequest", "prompt").is_valid(value) == accepted


def is_visible(text: str) -> bool:
    """Return whether a character can be seen, by its category and by Unicode's list of invisible letters and marks."""
    return any(
        unicodedata.category(character) not in ("Cc", "Cf", "Zs", "Zl", "Zp") or character in VISIBLE_FORMATS
        for character in text
        if character not in INVISIBLE_LETTERS_AND_MARKS
    )


INVISIBLE_LETTERS_AND_MARKS = {
    chr(code)
    for first, last in [
        (0x34F, 0x34F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2065, 0x2065), (0x2800, 0x2800),
        (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0xE0000, 0xE0FFF),
    ]
    for code in range(first, last + 1)
}  # fmt: skip
VISIBLE_FORMATS = {
    chr(code)
    for first, last in [
        (0x600, 0x605), (0x6DD, 0x6DD), (0x70F, 0x70F), (0x890, 0x891), (0x8E2, 0x8E2), (0xFFF9, 0xFFFB),
        (0x110BD, 0x110BD), (0x110CD, 0x110CD), (0x13430, 0x1343F),
    ]
    for code in range(first, last + 1)
}  # fmt: skip
"""Format characters that have a shape of their own, such as the Arabic number sign."""


def test_every_character_is_visible_or_not_as_unicode_has_it() -> None:
    blank = re.compile(fields._VISIBLE_CHARACTER.pattern)
    for code in range(0x110000):
        if not 0xD800 <= code <= 0xDFFF:
            assert bool(blank.search(chr(code))) == is_visible(chr(code)), hex(code)


@pytest.mark.parametrize("control", [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))], ids=ascii)
def test_only_line_breaks_and_tabs_are_allowed_as_control_characters(control: str) -> None:
    for model, data, name in (
        (CreateGenerationRequest, ORDER, "prompt"),
        (GrantCredits, GRANT, "reason"),
    ):
        assert accepts(model, data, name, f"a{control}fox") == (control in "\t\n\r")


@given(key=KEYS)
@example("é")
@example("ﬁ")
@example("\uff21")
def test_normalization_forms_are_different_keys(key: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        other = unicodedata.normalize(form, key)
        assert (keyed_request_id("user", other) == keyed_request_id("user", key)) == (other == key)


@given(value=TEXTS)
def test_key_is_short_and_printable(value: str) -> None:
    accepted = accepts(GrantCredits, GRANT, "idempotencyKey", value)
    assert accepted == (1 <= len(value) <= 255 and value.isprintable())
    if accepted:
        assert schema_validator("GrantCredits", "idempotencyKey").is_valid(value)


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
@example("https://169.254.169.254/computeMetadata/v1/")
@example("https://2852039166/")
@example("https://[::ffff:10.0.0.1]/")
@example("https://localhost./")
@example("https://medium.example./x")
@example("https://8.8.8.8/")
@example("https://134744072/")
@example("https://medium.example:22/")
def test_photo_url_is_https_at_a_public_host_without_user_name(value: str) -> None:
    def photo(url: str) -> Any:
        return parsed(CreateGenerationRequest, {**ORDER, "input": {"type": "photo", "photoUrl": url}})

    if accepted := photo(value):
        assert re.match("https://[^/?#]", value)
        assert "@" not in re.split("[/?#]", value)[2]
        assert value.isprintable()
        assert schema_validator("PhotoInput", "photoUrl").is_valid(value)
        kept = accepted.input.photo_url
        assert is_public_host(urlsplit(kept).hostname or "")
        assert urlsplit(kept).port in {None, *fields.UNPRIVILEGED_PORTS}
        assert photo(kept) == accepted
        assert schema_validator("PhotoInput", "photoUrl").is_valid(kept)


# The Idempotency-Key header


class Echo(BaseModel):
    """A fake answer that contains the key of the call."""

    key: str | None

    def wire(self) -> dict[str, Any]:
        return self.model_dump()


ECHO: Operation[Any, Any] = Operation(
    request=CreateGenerationRequest,
    response=cast("Any", Echo),
    access=Access.OWNER,
    spends=False,
    scope=None,
    own_errors=(),
    description="",
    handle=lambda _backend, call: cast("Any", Echo(key=call.params.idempotency_key)),
)


def key_used(header: str | None, *field: object) -> object:
    """Return the key of a call with this header and field, or False if the call is refused."""
    data = {**ORDER, "userId": "user"} | ({"idempotencyKey": field[0]} if field else {})
    call = Received(data, cast("Any", {} if header is None else {"Idempotency-Key": header}))
    catalogs, call_rates = SimpleNamespace(current=history.catalog), SimpleNamespace(admit=None)
    backend = SimpleNamespace(catalogs=catalogs, call_rates=call_rates, accounts=Mock())
    try:
        return ECHO(cast("Any", backend), call)["key"]
    except InvalidInput as refusal:
        [violation] = refusal.details["violations"]
        assert violation["field"] == "idempotencyKey"
        return False


@pytest.fixture(autouse=True)
def _without_required_auth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE_AUTH", "false")


PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=255)


def quoted(key: str) -> str:
    """Return the key as a string of a structured field."""
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@given(key=PRINTABLE)
@example('"')
@example("\\")
@example(",")
def test_key_is_accepted_in_header_field_or_both(key: str) -> None:
    header = quoted(key)
    assert key_used(None, key) == key_used(header) == key_used(header, None) == key_used(header, key) == key
    assert header_validator().is_valid(header)
    may_be_bare = not key.startswith('"') and "," not in key and key.strip() == key
    assert key_used(key) == (key if may_be_bare else False) or key.startswith('"')


@given(header=TEXTS, value=JSON)
@example("é", "é")
@example("", "key")
@example(" key", "key")
def test_header_is_the_key_or_refused(header: str, value: Any) -> None:
    key = key_used(header)
    assert key is False or header in (key, quoted(str(key)))
    assert key_used(header, value) in (key, False)
    if key:
        assert header.isascii()
        assert header_validator().is_valid(header)
    if value not in (None, key):
        assert key_used(header, value) is False


def test_header_longer_than_any_key_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = quoted('"' * 255)
    assert len(longest) == fields.HEADER_KEY_LENGTH_MAX
    assert key_used(longest) == '"' * 255
    monkeypatch.setattr(idempotency, "re", None)
    assert key_used('"' + '\\"' * 4_000) is False
    assert key_used(longest + " ") is False


@pytest.mark.parametrize("part", ['\\"', '"', '",', '"a"', 'a"b', '" ', "\\", "a "], ids=repr)
def test_header_is_read_in_linear_time(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """In quadratic time, one of these headers would take minutes."""
    monkeypatch.setattr(idempotency, "HEADER_KEY_LENGTH_MAX", 10**6)
    for end in ("", '"', "é"):
        key_used('"' + part * 150_000 + end)
        key_used("a" + part * 150_000 + end)


def header_validator() -> Draft202012Validator:
    return Draft202012Validator(DOCUMENT["components"]["parameters"]["idempotencyKey"]["schema"])


def test_longest_valid_call_fits_into_a_body() -> None:
    longest = {
        **ORDER,
        "userId": "🦊" * 128,
        "prompt": "🦊" * 2_000,
        "input": {"type": "address", "address": "🦊" * 500},
        "idempotencyKey": "🦊" * 255,
    }
    assert parsed(CreateGenerationRequest, longest)
    assert len(json.dumps({"data": longest}).encode()) <= BYTES_MAX
