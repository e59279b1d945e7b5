"""The base of the request models."""

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from imagegen.api.fields import IdempotencyKey, UserId


class Request(BaseModel):
    """A request. Fields are camelCase in JSON. Values are not coerced, and unknown fields are refused."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True, defer_build=True)


def example(**data: JsonValue) -> ConfigDict:
    """Return the config of a request whose example in the documentation is ``data``. It must work with the seed."""
    return ConfigDict(json_schema_extra={"examples": [data]})


class OfUser(Request):
    """A request about one user. The default is the caller."""

    user_id: UserId = Field(
        default=None, validate_default=True, description="The id of the user. The default is the caller's id."
    )


class Repeat(OfUser):
    """The fields that identify an earlier createGenerationRequest. The other fields may be invalid by now."""

    model_config = ConfigDict(extra="ignore")

    idempotency_key: IdempotencyKey
