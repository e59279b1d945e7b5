"""Calls of the console's functions as an admin."""

from typing import Any

from tests.support.api import Api


def as_admin(api: Api, function: str, **data: object) -> Any:
    """Return the result of an admin's call, which must succeed."""
    response = api.call(function, data, Authorization="Bearer admin")
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_json()["result"]


def refused(api: Api, function: str, **data: object) -> Any:
    """Return the error of an admin's call, which must be refused."""
    response = api.call(function, data, Authorization="Bearer admin")
    assert response.status_code != 200, response.get_data(as_text=True)
    return response.get_json()["error"]
