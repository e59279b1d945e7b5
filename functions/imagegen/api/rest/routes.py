"""The routes of the REST API. Each docstring is published as the description of its route."""

from dataclasses import dataclass
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.http import parse_dict_header

from imagegen.api import functions, idempotency, requests, responses
from imagegen.api.fields import TOTAL_MAX
from imagegen.api.operation import Call, Operation, variant
from imagegen.bootstrap import Backend
from imagegen.domain.generation import Fingerprint, Key, Mode
from imagegen.errors import (
    Contention,
    IdempotencyMismatch,
    InsufficientCredits,
    PriceTooHigh,
    TooManyRunning,
    UserNotFound,
)

WAIT_MAX = 50
"""The longest time in seconds that a call waits for its request. Firebase Hosting ends a call after 60 seconds."""


def wait_seconds(headers: Headers) -> int:
    """Return the seconds that ``Prefer: wait=N`` asks for, up to WAIT_MAX. An unknown preference is ignored.

    The header is defined in https://www.rfc-editor.org/rfc/rfc7240#section-4.3
    """
    preferences = parse_dict_header(",".join(headers.getlist("Prefer")))
    seconds = (preferences.get("wait") or "").partition(";")[0].strip()
    if not (seconds.isascii() and seconds.isdecimal()):
        return 0
    return WAIT_MAX if len(seconds) > len(str(WAIT_MAX)) else min(int(seconds), WAIT_MAX)


def _fingerprint(backend: Backend, data: Any) -> Fingerprint:
    """Return the fingerprint that createGenerationRequest gives the same payload in mode async."""
    return idempotency.fingerprint({**data, "mode": Mode.ASYNC.value}, backend.catalogs.current())


def _answered_earlier(backend: Backend, call: Call[requests.Repeat]) -> responses.CreatedGeneration | None:
    key = Key(call.params.idempotency_key, _fingerprint(backend, call.data))
    earlier = backend.generations.repeat(call.params.user_id, key)
    return None if earlier is None else responses.CreatedGeneration.of_call(earlier.request, earlier)


@variant(
    functions.create_generation_request,
    UserNotFound,
    TooManyRunning,
    PriceTooHigh,
    InsufficientCredits,
    IdempotencyMismatch,
    Contention,
    repeated=_answered_earlier,
)
def create_generation(backend: Backend, call: Call[requests.CreateGeneration]) -> responses.CreatedGeneration:
    """Takes the credits and queues the request. With `Prefer: wait=N`, waits up to N seconds until it has ended.

    Returns the request as it is then. A repeated call with the same idempotency key does not wait.
    """
    created = backend.generations.create(call.params.order(_fingerprint(backend, call.data)))
    request = created.request
    if not created.is_replay:
        request = backend.requests.wait(request, wait_seconds(call.headers))
    return responses.CreatedGeneration.of_call(request, created)


@variant(functions.list_generation_requests)
def list_generations(backend: Backend, call: Call[requests.ListGenerations]) -> responses.GenerationList:
    """Returns a page of a user's requests, newest first. You can filter them."""
    params = call.params
    page = backend.requests.list(params.filter, params.limit, params.after, params.offset)
    return responses.GenerationList.of(params, page, backend.requests.count(params.filter, TOTAL_MAX))


@variant(functions.get_credit_balance)
def get_balance(backend: Backend, call: Call[requests.GetCreditBalance]) -> responses.Balance:
    """Returns a user's trial and paid credits."""
    return responses.Balance.of(backend.accounts.wallet(call.params.user_id))


@variant(functions.list_credit_transactions)
def list_transactions(backend: Backend, call: Call[requests.ListTransactions]) -> responses.TransactionList:
    """Returns a page of all changes of a user's balance, newest first, with the balance after each."""
    params = call.params
    types = None if params.type is None else (params.type,)
    history = backend.histories.page(params.user_id, params.limit, params.before_seq, types)
    return responses.TransactionList.of(params, history.entries)


@dataclass(frozen=True)
class Route:
    """An HTTP method and a path of the REST API, and the operation that handles them.

    The fields of the operation's request are in the path, and otherwise in the query of a GET or the JSON body of a
    POST. ``location`` is the URL of what the call created, relative to the called URL.
    """

    method: str
    path: str
    operation: Operation[Any, Any]
    location: str | None = None


ROUTES = (
    Route("POST", "/v1/generations", create_generation, location="generations/{generation_request_id}"),
    Route("GET", "/v1/generations", list_generations),
    Route("GET", "/v1/generations/<generation_request_id>", functions.get_generation_request),
    Route("POST", "/v1/generations/<generation_request_id>/cancel", functions.cancel_generation_request),
    Route("POST", "/v1/generations/<generation_request_id>/replace-image-urls", functions.replace_image_urls),
    Route("GET", "/v1/credits/balance", get_balance),
    Route("GET", "/v1/credits/transactions", list_transactions),
    Route("POST", "/v1/credits/grants", functions.grant_credits),
    Route("GET", "/v1/catalog", functions.get_catalog),
)
