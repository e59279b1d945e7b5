"""Stripe's error responses."""

from typing import Any


class ApiError(Exception):
    """An error response in Stripe's form."""

    status = 400
    type = "invalid_request_error"

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.error = {"type": self.type, "message": message, "param": param, "code": code}

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {name: value for name, value in self.error.items() if value is not None}}


class InvalidRequest(ApiError):
    """The parameters are not valid. Nothing was begun, so the response is not saved for the idempotency key."""


class Refused(ApiError):
    """The call was begun, but its objects do not allow it. The response is saved for the idempotency key."""


class NotFound(Refused):
    status = 404

    def __init__(self, kind: str, id: str, param: str = "id") -> None:
        super().__init__(f"No such {kind.replace('.', ' ')}: '{id[:100]}'", param, "resource_missing")


class Unauthorized(ApiError):
    status = 401


class IdempotencyMismatch(ApiError):
    type = "idempotency_error"


class ServerError(ApiError):
    status = 500
    type = "api_error"
