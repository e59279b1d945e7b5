"""Tests of the OpenAPI document, and of the Postman collection made from it, against the code."""

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from imagegen.api import catalog
from imagegen.api.auth import Access
from imagegen.api.operation import Call, operation
from imagegen.api.rest.endpoint import problem
from imagegen.api.rest.routes import ROUTES, Route
from imagegen.bootstrap import Backend
from imagegen.errors import (
    ApiError,
    IdempotencyMismatch,
    MethodNotAllowed,
    RouteNotFound,
    ServiceUnavailable,
    Unauthenticated,
)
from tests.support.api import CALLABLES
from tools.docs import openapi, openapi_rest, postman
from tools.emulators.project import ROOT

DOCUMENT = openapi.document()
REST = openapi_rest.document()
FUNCTIONS = openapi.operations()
OF_ROUTING = {RouteNotFound, MethodNotAllowed}
"""The errors of the REST API for a path or a method that is not documented."""


def body_validator(path: str) -> Draft202012Validator:
    """Return the validator of an operation's request body."""
    [content] = DOCUMENT["paths"][path]["post"]["requestBody"]["content"].values()
    return Draft202012Validator({**content["schema"], "components": DOCUMENT["components"]})


def declared_errors() -> list[type[ApiError]]:
    return [error for error in openapi.errors() if error not in OF_ROUTING]


def documented_reasons(operation: dict[str, Any]) -> dict[str, set[str]]:
    """Return the reasons in an operation's responses by HTTP status, as a client would look them up."""
    found: dict[str, set[str]] = {}
    for status, response in operation["responses"].items():
        if status != "200":
            names = re.findall(r"#/components/schemas/(\w+)", json.dumps(response))
            schemas = [DOCUMENT["components"]["schemas"][f"{name}Details"] for name in names]
            found[status] = {schema["properties"]["reason"]["const"] for schema in schemas}
    return found


def test_documents_are_up_to_date() -> None:
    assert openapi.TARGET.read_text("utf-8") == openapi.text(), "run: make docs"
    assert openapi_rest.TARGET.read_text("utf-8") == openapi_rest.text(), "run: make docs"
    assert postman.TARGET.read_text("utf-8") == postman.text(), "run: make docs"


def test_openapi_document_is_valid() -> None:
    for document in (DOCUMENT, REST):
        OpenAPIV31SpecValidator(document).validate()
        for schema in document["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)


def test_exactly_the_deployed_callables_are_documented() -> None:
    assert DOCUMENT["paths"].keys() == {f"/{name}" for name in CALLABLES}


def test_operation_that_is_not_deployed_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def delete_everything(_backend: Backend, call: Call[catalog.Nothing]) -> catalog.Catalog:
        raise NotImplementedError

    declared = operation(access=Access.ADMIN)(delete_everything)
    monkeypatch.setattr(catalog, "delete_everything", declared, raising=False)
    with pytest.raises(ValueError, match="deleteEverything"):
        openapi.operations()


def test_callable_is_deployed_under_the_name_of_its_operation() -> None:
    assert {name: operation.name for name, operation in FUNCTIONS.items()} == {name: name for name in FUNCTIONS}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operation_documents_exactly_the_errors_it_declares(name: str) -> None:
    documented = documented_reasons(DOCUMENT["paths"][f"/{name}"]["post"])

    declared: dict[str, set[str]] = {}
    for error in FUNCTIONS[name].errors:
        declared.setdefault(str(error.code.http_status), set()).add(error.reason)
    assert documented == declared


@pytest.mark.parametrize(
    ("name", "access", "callers", "reasons"),
    [
        ("getCatalog", "signedIn", "anyone signed in; API keys with the scope `read`", {"SCOPE_MISSING"}),
        (
            "getGenerationRequest",
            "ownerOrAdmin",
            "the owner or an admin; API keys with the scope `read`",
            {"SCOPE_MISSING"},
        ),
        (
            "getUserCredits",
            "ownerOrAdmin",
            "the owner or an admin; API keys with the scope `read`",
            {"PERMISSION_DENIED", "SCOPE_MISSING"},
        ),
        ("getWebhookSecret", "owner", "the owner", {"PERMISSION_DENIED", "SCOPE_MISSING"}),
        ("grantCredits", "admin", "an admin; API keys with the scope `grant`", {"PERMISSION_DENIED", "SCOPE_MISSING"}),
        (
            "createGenerationRequest",
            "owner",
            "the owner, with a verified e-mail address or phone number; API keys with the scope `generate`",
            {"PERMISSION_DENIED", "EMAIL_NOT_VERIFIED", "SCOPE_MISSING"},
        ),
    ],
)
def test_operation_documents_its_access_and_its_403_reasons(
    name: str, access: str, callers: str, reasons: set[str] | None
) -> None:
    documented = DOCUMENT["paths"][f"/{name}"]["post"]
    assert documented["x-access"] == access
    assert documented["description"] == f"Who may call: {callers}."
    assert documented_reasons(documented).get("403") == reasons


def test_every_error_is_declared_by_an_operation() -> None:
    declared = {error for operation in FUNCTIONS.values() for error in operation.errors}
    assert set(openapi.errors()) - OF_ROUTING == declared


@pytest.mark.parametrize("error", declared_errors(), ids=lambda error: error.__name__)
def test_error_lists_its_facts_in_the_table_and_its_schema(error: type[ApiError]) -> None:
    named = set(re.findall(r"`(\w+)`", f"{error.situation} {error.billed}")) - {"userId", "idempotencyKey"}
    if "same details" not in error.situation:
        assert named <= error.facts.keys()
    properties = DOCUMENT["components"]["schemas"][f"{error.__name__}Details"]["properties"]
    assert properties.keys() == {"reason", *error.facts}


def test_optional_fields_are_omitted_and_never_null() -> None:
    details = DOCUMENT["components"]["schemas"]["GenerationRequestDetails"]
    assert {"imageUrl", "error", "finishedAt", "input"} & set(details["required"]) == set()
    assert '"null"' not in json.dumps(details)


# REST

VARIANTS = {
    "createGeneration": "createGenerationRequest",
    "listGenerations": "listGenerationRequests",
    "getBalance": "getCreditBalance",
    "listTransactions": "listCreditTransactions",
    "listPurchasePage": "listPurchases",
}
"""The callable function of each route that has another form."""


def test_every_route_is_documented_with_the_statuses_of_its_errors() -> None:
    documented = {
        (method.upper(), path): {status for status in operation["responses"] if status not in ("200", "201")}
        for path, methods in REST["paths"].items()
        for method, operation in methods.items()
    }
    assert documented == {
        (route.method, openapi_rest.path_of(route)): {str(error.rest_status) for error in route.operation.errors}
        for route in ROUTES
    }


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_route_has_the_access_of_its_operation(route: Route) -> None:
    """A variant of an operation differs in its request and response only."""
    of = VARIANTS.get(route.operation.name)
    if of is not None:
        operation, original = route.operation, FUNCTIONS[of]
        assert (operation.access, operation.spends, operation.scope) == (
            original.access,
            original.spends,
            original.scope,
        )
    else:
        assert route.operation is FUNCTIONS[route.operation.name]


@pytest.mark.parametrize("error", [IdempotencyMismatch("no"), ServiceUnavailable("no"), Unauthenticated("no")])
def test_problem_without_facts_is_as_documented(error: ApiError) -> None:
    schema = REST["components"]["schemas"][type(error).__name__]
    Draft202012Validator({**schema, "components": REST["components"]}).validate(problem(error).get_json())


def test_rest_document_names_all_fields_in_snake_case() -> None:
    names = {name for schema in REST["components"]["schemas"].values() for name in schema.get("properties", {})}
    assert {name for name in names if name != name.lower()} == set()
    assert "next_page_token" not in json.dumps(REST)
    aliases = {name for schema in DOCUMENT["components"]["schemas"].values() for name in schema.get("properties", {})}
    words = set(re.findall(r"\b[a-z]+[A-Z]\w*", re.sub(r"#/components/\S+", "", json.dumps(REST))))
    assert words & aliases - openapi.SECURITY_SCHEMES.keys() == set()


@pytest.mark.parametrize("error", declared_errors(), ids=lambda error: error.__name__)
def test_status_of_an_error_is_that_of_its_code_or_a_more_exact_one(error: type[ApiError]) -> None:
    exact = {
        "INSUFFICIENT_CREDITS": 402,
        "IDEMPOTENCY_MISMATCH": 422,
        "REQUEST_ENDED": 409,
        "PRICE_TOO_HIGH": 409,
        "PAYMENTS_UNAVAILABLE": 409,
    }
    assert error.rest_status == exact.get(error.reason, error.code.http_status)


@pytest.mark.parametrize("error", [error for error in declared_errors() if error.rest_status == 429])
def test_error_of_too_many_calls_has_a_retry_after_header(error: type[ApiError]) -> None:
    assert error.facts["retryAfterSeconds"] is int


# Postman


def calls() -> list[dict[str, Any]]:
    [items] = [folder["item"] for folder in postman.collection(DOCUMENT)["item"] if folder["name"] == "Functions"]
    return list(items)


def test_collection_matches_the_postman_2_1_schema() -> None:
    structure = json.loads((ROOT / "tests" / "unit" / "postman_v2.1.json").read_text("utf-8"))
    Draft202012Validator(structure).validate(postman.collection(DOCUMENT))


def test_collection_calls_every_operation_with_a_valid_body() -> None:
    assert [item["name"] for item in calls()] == sorted(FUNCTIONS)
    for item in calls():
        url = item["request"]["url"]
        body_validator(url.removeprefix("{{baseUrl}}")).validate(json.loads(item["request"]["body"]["raw"]))


def test_every_variable_in_the_collection_is_defined() -> None:
    collection = postman.collection(DOCUMENT)
    used = set(re.findall(r'(?:{{|collectionVariables\.[gs]et\(\\")(\w+)', json.dumps(collection)))
    assert used == {variable["key"] for variable in collection["variable"]}


def test_request_in_the_examples_is_in_the_seed() -> None:
    [example] = [item for item in calls() if item["name"] == "getGenerationRequest"]
    request_id = json.loads(example["request"]["body"]["raw"])["data"]["generationRequestId"]
    kinds = ROOT / "emulator-seed" / "firestore_export" / "all_namespaces" / "all_kinds" / "output-0"
    assert request_id.encode() in kinds.read_bytes()
