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


def create_generation_request(backend: Backend, call: Call) -> Wire:
    """Raises what ``Generations.create`` raises, InvalidInput, Unauthenticated and PermissionDenied."""
    require_caller(call)
    try:
        wish = schemas.parse(schemas.CreateGenerationRequest, call.data, backend.catalogs.current())
    except InvalidInput:
        earlier = _answered_earlier(backend, call)
        if earlier is None:
            raise
        return schemas.CreatedGenerationRequest.of(earlier).wire()
    require_owner(call, wish.user_id)
    created = backend.generations.create(wish.order(schemas.fingerprint(call.data)))
    return schemas.CreatedGenerationRequest.of(created).wire()


def _answered_earlier(backend: Backend, call: Call) -> GenerationRequest | None:
    """What a call that is invalid now was answered when it was valid."""
    try:
        repeat = schemas.parse(schemas.Repeat, call.data)
    except InvalidInput:
        return None
    require_owner(call, repeat.user_id)
    return backend.generations.repeat(repeat.user_id, repeat.idempotency_key, schemas.fingerprint(call.data))


def get_user_credits(backend: Backend, call: Call) -> Wire:
    """Raises what ``Histories.page`` raises, InvalidInput, Unauthenticated and PermissionDenied."""
    require_caller(call)
    wish = schemas.parse(schemas.GetUserCredits, call.data)
    require_owner(call, wish.user_id)
    page = backend.histories.page(wish.user_id, wish.page_size, wish.before_seq)
    return schemas.UserCredits.of(page).wire()
