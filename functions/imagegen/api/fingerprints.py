"""The fingerprint of the payload that is sent with an idempotency key."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import Url

from imagegen.api.fields import integer
from imagegen.api.orders import CreateGenerationRequest
from imagegen.domain.catalog import Catalog, Kind
from imagegen.domain.generation import Fingerprint

CANONICAL_VERSION = 2
"""The version of ``_canonical``. Version 1 is the data as sent. If you change the rules, add a version, and go on
computing this one for the requests that have it."""

_NOT_PAYLOAD = ("userId", "idempotencyKey", "maxCredits")
"""The fields that do not say what is ordered. A key belongs to one user."""

_DEFAULTS = {info.alias: info.default for info in CreateGenerationRequest.model_fields.values()}


def fingerprint(data: Mapping[str, Any], catalog: Catalog) -> Fingerprint:
    """Return the fingerprint of the data of createGenerationRequest, which may be invalid by now."""
    return Fingerprint(sent(data), f"{CANONICAL_VERSION}:{_hash(_canonical(data, catalog))}")


def sent(data: Mapping[str, Any]) -> str:
    """Return the fingerprint of version 1, a hash over the data as sent. The order of fields does not matter."""
    return _hash(data)


def _canonical(data: Mapping[str, Any], catalog: Catalog) -> dict[str, Any]:
    """Return the payload in the one form that all ways to write it have in common.

    A null, a default and a missing field are the same, and so are the id of an option and its name, and all ways to
    write an integer.
    """
    payload = {
        name: _with_integers(value)
        for name, value in data.items()
        if name not in _NOT_PAYLOAD and value is not None and value != _DEFAULTS.get(name)
    }
    for kind in Kind:
        if isinstance(value := payload.get(kind), str):
            chosen = catalog.choose(kind, value)
            payload[kind] = chosen.name if chosen else catalog.name(kind, value) or value
    if "webhookUrl" in payload:
        payload["webhookUrl"] = _normalized(payload["webhookUrl"])
    if isinstance(photo := payload.get("input"), dict) and "photoUrl" in photo:
        payload["input"] = {**photo, "photoUrl": _normalized(photo["photoUrl"])}
    return payload


def _with_integers(value: Any) -> Any:
    """Return a value with one spelling of each integer in it."""
    whole = integer(value)
    return {name: _with_integers(inner) for name, inner in whole.items()} if isinstance(whole, dict) else whole


def _normalized(url: Any) -> Any:
    """Return the URL as normalized by the URL standard, which is how it is stored."""
    try:
        return str(Url(url))
    except (TypeError, ValueError):
        return url


def _hash(data: object) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
