"""Replaces ids by their objects, as the parameter ``expand`` asks."""

from collections.abc import Sequence

from tools.stripe_emulator.account import Account
from tools.stripe_emulator.errors import InvalidRequest
from tools.stripe_emulator.objects import Object

_DEPTH_MAX = 4
_REFERENCES = {
    "charge": "charge",
    "latest_charge": "charge",
    "payment_intent": "payment_intent",
    "product": "product",
}
"""The fields that name another object, and the kind of that object."""


def expand(account: Account, object: Object, paths: Sequence[str]) -> Object:
    """Return the object with the fields at these paths expanded. Raises InvalidRequest for another path."""
    for path in paths:
        fields = path.split(".")
        if len(fields) > _DEPTH_MAX:
            raise InvalidRequest(f"You cannot expand more than {_DEPTH_MAX} levels of a property: {path}", "expand")
        object = _expand(account, object, fields, path)
    return object


def _expand(account: Account, object: Object, fields: Sequence[str], path: str) -> Object:
    field, *rest = fields
    if object["object"] == "list":
        if field != "data":
            raise _not_expandable(path)
        return {**object, "data": [_expand(account, item, rest, path) if rest else item for item in object["data"]]}
    value = object.get(field)
    if object["object"] == "checkout.session" and field == "line_items":
        value = list_of(account.line_items[object["id"]], f"/v1/checkout/sessions/{object['id']}/line_items")
    elif object["object"] == "charge" and field == "refunds":
        refunds = [refund for refund in account.all("refund") if refund["charge"] == object["id"]]
        value = list_of(refunds, f"/v1/charges/{object['id']}/refunds")
    elif field in object and field in _REFERENCES:
        if isinstance(value, str):
            value = account.find(_REFERENCES[field], value)
    elif not (rest and isinstance(value, dict)):  # a path can lead through an object that is always expanded
        raise _not_expandable(path)
    if rest and value is not None:
        value = _expand(account, value, rest, path)
    return {**object, field: value}


def list_of(items: Sequence[Object], url: str, *, has_more: bool = False) -> Object:
    return {"object": "list", "data": list(items), "has_more": has_more, "url": url}


def _not_expandable(path: str) -> InvalidRequest:
    return InvalidRequest(f"This property cannot be expanded ({path}).", "expand", "property_not_expandable")
