"""The calls of Stripe's API that the emulator answers."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stripe import params
from stripe.params import checkout

from tools.stripe_emulator import adjustments, sessions
from tools.stripe_emulator.account import Account
from tools.stripe_emulator.errors import InvalidRequest, NotFound
from tools.stripe_emulator.expand import expand, list_of
from tools.stripe_emulator.objects import Object
from tools.stripe_emulator.parameters import validate

Parameters = dict[str, Any]
_PAGE_SIZE, _PAGE_SIZE_MAX = 10, 100
_LOOKUP_KEYS_MAX = 10
_PAGING = ("limit", "starting_after", "ending_before", "expand", "created")
_SESSION = (
    "adaptive_pricing",
    "cancel_url",
    "client_reference_id",
    "currency",
    "customer_email",
    "expand",
    "expires_at",
    "line_items",
    "locale",
    "metadata",
    "mode",
    "payment_intent_data",
    "submit_type",
    "success_url",
    "ui_mode",
)


@dataclass(frozen=True)
class Route:
    """A method and a path, Stripe's type of the parameters, and the function that answers."""

    method: str
    path: str
    type: Any
    answer: Callable[[Account, str, Parameters], Object]
    supported: tuple[str, ...] = ("expand",)
    """The parameters that the emulator implements. It refuses the others, rather than ignore them."""

    def parse(self, parameters: Parameters) -> Parameters:
        """Return the parameters with their types. Raises InvalidRequest."""
        validated = validate(self.type, parameters)
        for name in validated:
            if name not in self.supported:
                raise InvalidRequest(f"The emulator does not implement the parameter {name}.", name)
        return validated

    def respond(self, account: Account, id: str, parameters: Parameters) -> Object:
        return expand(account, self.answer(account, id, parameters), parameters.get("expand", []))


@dataclass(frozen=True)
class _Listing:
    """Lists objects of a kind, newest first, filtered by equal fields."""

    kind: str
    path: str
    filters: Mapping[str, Callable[[Object, Any], bool]] = field(default_factory=dict)

    def __call__(self, account: Account, _id: str, parameters: Parameters) -> Object:
        items = account.all(self.kind)
        for name, value in parameters.items():
            if name in self.filters:
                items = [item for item in items if self.filters[name](item, value)]
            elif name == "created":
                items = [item for item in items if _created(item, value)]
        limit = parameters.get("limit", _PAGE_SIZE)
        if not 1 <= limit <= _PAGE_SIZE_MAX:
            raise InvalidRequest(f"Invalid limit: must be between 1 and {_PAGE_SIZE_MAX}", "limit")
        ids = [item["id"] for item in items]
        for name in ("starting_after", "ending_before"):
            if name in parameters and parameters[name] not in ids:
                raise NotFound(self.kind, parameters[name], name)
        if "ending_before" in parameters:
            before = items[: ids.index(parameters["ending_before"])]
            return list_of(before[-limit:], self.path, has_more=len(before) > limit)
        if "starting_after" in parameters:
            items = items[ids.index(parameters["starting_after"]) + 1 :]
        return list_of(items[:limit], self.path, has_more=len(items) > limit)


def _created(item: Object, created: Any) -> bool:
    bounds = created if isinstance(created, dict) else {"gte": created, "lte": created}
    checks = {"gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__}
    return all(checks[name](item["created"], bound) for name, bound in bounds.items())


def _equal(*names: str) -> dict[str, Callable[[Object, Any], bool]]:
    return {name: lambda item, value, name=name: item[name] == value for name in names}  # type: ignore[misc]


def _list(kind: str, path: str, type: Any, filters: Mapping[str, Callable[[Object, Any], bool]]) -> Route:
    return Route("GET", path, type, _Listing(kind, path, filters), (*_PAGING, *filters))


def _retrieve(kind: str, path: str, type: Any) -> Route:
    return Route("GET", f"{path}/<id>", type, lambda account, id, _: account.find(kind, id))


def _prices(account: Account, id: str, parameters: Parameters) -> Object:
    if len(parameters.get("lookup_keys", [])) > _LOOKUP_KEYS_MAX:
        raise InvalidRequest(f"You can pass up to {_LOOKUP_KEYS_MAX} lookup keys.", "lookup_keys")
    return _PRICES(account, id, parameters)


_PRICES = _Listing(
    "price",
    "/v1/prices",
    {
        **_equal("active", "currency", "product", "type"),
        "lookup_keys": lambda price, keys: price["lookup_key"] in keys,
    },
)


def _search(account: Account, _id: str, parameters: Parameters) -> Object:
    """Search payment intents by one metadata value, as Stripe's query language spells it."""
    match = re.fullmatch(r"""metadata\[(["'])(\w+)\1\]:(["'])([^"'\\]*)\3""", parameters["query"])
    if not match:
        raise InvalidRequest("The emulator understands only queries like metadata['key']:'value'.", "query")
    found = account.search_intents(match[2], match[4])
    limit, page = parameters.get("limit", _PAGE_SIZE), parameters.get("page", "0")
    if not 1 <= limit <= _PAGE_SIZE_MAX or not re.fullmatch(r"\d{1,5}", page):
        raise InvalidRequest("Invalid limit or page.", "limit")
    first, after = int(page), int(page) + limit
    listed = list_of(found[first:after], "/v1/payment_intents/search", has_more=len(found) > after)
    return {**listed, "object": "search_result", "next_page": str(after) if listed["has_more"] else None}


def _line_items(account: Account, id: str, _parameters: Parameters) -> Object:
    session = account.find("checkout.session", id)
    return list_of(account.line_items[id], f"/v1/checkout/sessions/{session['id']}/line_items")


_SESSIONS = "/v1/checkout/sessions"
ROUTES = (
    Route(
        "POST",
        _SESSIONS,
        checkout.SessionCreateParams,
        lambda account, _, p: sessions.create_session(account, p),
        _SESSION,
    ),
    _list("checkout.session", _SESSIONS, checkout.SessionListParams, _equal("payment_intent", "status")),
    _retrieve("checkout.session", _SESSIONS, checkout.SessionRetrieveParams),
    Route("GET", f"{_SESSIONS}/<id>/line_items", checkout.SessionListLineItemsParams, _line_items),
    Route(
        "POST",
        f"{_SESSIONS}/<id>/expire",
        checkout.SessionExpireParams,
        lambda account, id, _: sessions.expire_session(account, account.find("checkout.session", id)),
    ),
    Route("GET", "/v1/prices", params.PriceListParams, _prices, (*_PAGING, *_PRICES.filters)),
    _retrieve("price", "/v1/prices", params.PriceRetrieveParams),
    Route(
        "GET",
        "/v1/payment_intents/search",
        params.PaymentIntentSearchParams,
        _search,
        ("query", "limit", "page", "expand"),
    ),
    _list("payment_intent", "/v1/payment_intents", params.PaymentIntentListParams, {}),
    _retrieve("payment_intent", "/v1/payment_intents", params.PaymentIntentRetrieveParams),
    _list("charge", "/v1/charges", params.ChargeListParams, _equal("payment_intent")),
    _retrieve("charge", "/v1/charges", params.ChargeRetrieveParams),
    Route(
        "POST",
        "/v1/refunds",
        params.RefundCreateParams,
        lambda account, _, p: adjustments.create_refund(account, p),
        ("amount", "charge", "expand", "metadata", "payment_intent", "reason"),
    ),
    _list("refund", "/v1/refunds", params.RefundListParams, _equal("charge", "payment_intent")),
    _retrieve("refund", "/v1/refunds", params.RefundRetrieveParams),
    _list("dispute", "/v1/disputes", params.DisputeListParams, _equal("charge", "payment_intent")),
    _retrieve("dispute", "/v1/disputes", params.DisputeRetrieveParams),
    _list(
        "event",
        "/v1/events",
        params.EventListParams,
        {**_equal("type"), "types": lambda event, types: event["type"] in types},
    ),
    _retrieve("event", "/v1/events", params.EventRetrieveParams),
)
