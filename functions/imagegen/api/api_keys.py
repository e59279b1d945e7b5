"""The operations on API keys."""

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from imagegen.api.auth import Access
from imagegen.api.fields import CreditAmount, DocumentId, KeyName, refuse
from imagegen.api.operation import Call, operation
from imagegen.api.requests import OfUser, Request, example
from imagegen.api.responses import Described, Number, Response, Time
from imagegen.bootstrap import Backend
from imagegen.domain import api_keys
from imagegen.domain.api_keys import Scope
from imagegen.errors import ApiKeyNotFound, Contention, PermissionDenied, TooManyApiKeys, UserNotFound


def _without_repetition(scopes: list[Scope]) -> list[Scope]:
    if len(set(scopes)) < len(scopes):
        raise refuse("must not contain a scope twice")
    return scopes


def _only_for_grants(credits: int | None, info: ValidationInfo) -> int | None:
    """Return the limit of a key, which has one if it can grant, and none otherwise."""
    scopes = info.data.get("scopes")
    if scopes is not None and (Scope.GRANT in scopes) != (credits is not None):
        raise refuse("is required with the scope grant, and must be left out without it")
    return credits


class CreateApiKey(OfUser):
    """The scope grant needs the most credits that the key may grant in a day, and is for admins."""

    model_config = example(userId="user-100", name="shop server", scopes=["generate", "read"])

    name: KeyName
    scopes: Annotated[
        list[Annotated[Scope, Field(strict=False)]],
        Field(min_length=1, max_length=len(Scope), json_schema_extra={"uniqueItems": True}),
        AfterValidator(_without_repetition),
    ]
    grant_credits_per_day: Annotated[CreditAmount | None, AfterValidator(_only_for_grants)] = Field(
        default=None,
        validate_default=True,
        description="The most credits that the key may grant in a day (UTC). Required with the scope grant.",
    )


class ListApiKeys(OfUser):
    model_config = example(userId="user-100")


class RevokeApiKey(Request):
    model_config = example(keyId="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")

    key_id: DocumentId


class ApiKey(Described):
    """An API key, without the key itself."""

    key_id: str = Field(validation_alias="id", description="The SHA-256 of the key, in hex.")
    name: str
    scopes: Annotated[list[Scope], BeforeValidator(sorted)]
    grant_credits_per_day: Number = Field(description="The most credits that the key may grant in a day (UTC).")
    created_at: Time
    last_used_on: date | None = Field(description="The last day (UTC) on which the key was used.")


class CreatedApiKey(ApiKey):
    api_key: str = Field(description="The key. It is not shown again.")

    @classmethod
    def of_secret(cls, secret: str, key: api_keys.ApiKey) -> "CreatedApiKey":
        """Return the answer that shows a new key."""
        return cls.model_construct(**dict(ApiKey.of(key)), api_key=secret)


class ApiKeyList(Response):
    api_keys: list[ApiKey]


class RevokedApiKey(Described):
    key_id: str = Field(validation_alias="id")
    revoked_at: Time


@operation(UserNotFound, TooManyApiKeys, Contention, access=Access.OWNER)
def create_api_key(backend: Backend, call: Call[CreateApiKey]) -> CreatedApiKey:
    """Creates an API key for the caller's servers. The key is shown only in this answer."""
    params = call.params
    if Scope.GRANT in params.scopes and not call.caller.is_admin:
        raise PermissionDenied("Only admins can create API keys that grant credits.")
    secret, key = backend.api_keys.create(params.user_id, params.name, params.scopes, params.grant_credits_per_day or 0)
    return CreatedApiKey.of_secret(secret, key)


@operation(access=Access.OWNER)
def list_api_keys(backend: Backend, call: Call[ListApiKeys]) -> ApiKeyList:
    """Returns a user's active API keys, newest first, without the keys themselves."""
    return ApiKeyList(api_keys=[ApiKey.of(key) for key in backend.api_keys.list(call.params.user_id)])


@operation(ApiKeyNotFound, Contention, access=Access.OWNER)
def revoke_api_key(backend: Backend, call: Call[RevokeApiKey]) -> RevokedApiKey:
    """Revokes one of the caller's API keys. From then on, calls with this key are refused."""
    return RevokedApiKey.of(backend.api_keys.revoke(call.params.key_id, call.allows))
