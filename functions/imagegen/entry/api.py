"""What each function of the API does with a call: who may, what it says, which service answers, in which form."""

from typing import Any

from firebase_functions.https_fn import CallableRequest

from imagegen.bootstrap import Backend
from imagegen.domain.generation import GenerationRequest
from imagegen.entry import schemas
from imagegen.entry.auth import require_caller, require_owner
from imagegen.errors import InvalidInput

Call = CallableRequest[Any]
Wire = dict[str, Any]

KEY_HEADER = "Idempotency-Key"


def create_generation_request(backend: Backend, call: Call) -> Wire:
    """Raises what ``Generations.create`` raises, InvalidInput, Unauthenticated and PermissionDenied."""
    require_caller(call)
    data = _with_key(call)
    try:
        wish = schemas.parse(schemas.CreateGenerationRequest, data, backend.catalogs.current())
    except InvalidInput:
        earlier = _answered_earlier(backend, call, data)
        if earlier is None:
            raise
        return schemas.CreatedGenerationRequest.of(earlier).wire()
    require_owner(call, wish.user_id)
    created = backend.generations.create(wish.order(schemas.fingerprint(data)))
    return schemas.CreatedGenerationRequest.of(created).wire()


def _with_key(call: Call) -> Any:
    """The call's data, with the idempotency key of the Idempotency-Key header if it has none of its own.

    Raises InvalidInput for two keys that differ.
    """
    key = call.raw_request.headers.get(KEY_HEADER)
    if key is None or not isinstance(call.data, dict):
        return call.data
    if call.data.get("idempotencyKey", key) != key:
        raise InvalidInput([{"field": "idempotencyKey", "message": f"differs from the {KEY_HEADER} header"}])
    return {**call.data, "idempotencyKey": key}


def _answered_earlier(backend: Backend, call: Call, data: Any) -> GenerationRequest | None:
    """What a call that is invalid now was answered when it was valid."""
    try:
        repeat = schemas.parse(schemas.Repeat, data)
    except InvalidInput:
        return None
    require_owner(call, repeat.user_id)
    return backend.generations.repeat(repeat.user_id, repeat.idempotency_key, schemas.fingerprint(data))


def get_user_credits(backend: Backend, call: Call) -> Wire:
    """Raises what ``Histories.page`` raises, InvalidInput, Unauthenticated and PermissionDenied."""
    require_caller(call)
    wish = schemas.parse(schemas.GetUserCredits, call.data)
    require_owner(call, wish.user_id)
    page = backend.histories.page(wish.user_id, wish.page_size, wish.before_seq)
    return schemas.UserCredits.of(page).wire()
