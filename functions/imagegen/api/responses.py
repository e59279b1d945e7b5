"""The base of the response models, and the types of their fields."""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from imagegen.domain.times import rfc3339

Number = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 0})]
"""A number of 0 or more. The minimum is documented but not checked, so that a wrong number in the database does not
hide the rest of the answer. The audit finds such numbers."""

NEXT_PAGE = "The pageToken of the next page. The last page has none."

Replayed = Literal[True] | None

REPLAYED: Any = Field(description="True if an earlier call had this effect, and this answer repeats its answer.")

TIME_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"

Time = Annotated[
    str,
    BeforeValidator(rfc3339),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": TIME_PATTERN}),
]
"""A datetime as a text. The spelling is always the same, so texts can be compared and sorted."""

Milliseconds = Annotated[int, BeforeValidator(lambda time: round(time / timedelta(milliseconds=1)))]
"""A timedelta, rounded to whole milliseconds."""


class Response(BaseModel):
    """A response. Fields are camelCase in JSON, and fields that are None are left out."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        from_attributes=True,
        frozen=True,
        defer_build=True,
        extra="forbid",
    )

    def wire(self) -> dict[str, Any]:
        """Return the response as JSON data."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Described(Response):
    """A response made from the attributes of one domain object. ``validation_alias`` maps attributes of other names."""

    @classmethod
    def of(cls, described: object) -> Self:
        """Return the response that describes a domain object."""
        return cls.model_validate(described)
