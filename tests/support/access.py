"""Who may do what, as a table of its own that the product's checks are compared with."""

from enum import StrEnum, auto

from imagegen.api.auth import Access


class Who(StrEnum):
    """A kind of caller, as seen by the owner of the data that the call is about."""

    NOBODY = auto()
    """Without a token, where signing in is not required."""
    OWNER = auto()
    UNVERIFIED = auto()
    """The owner, with an e-mail address that is not verified."""
    STRANGER = auto()
    """Another user."""
    ADMIN = auto()


ALLOWED: dict[Access, set[Who]] = {
    Access.SIGNED_IN: {Who.NOBODY, Who.OWNER, Who.UNVERIFIED, Who.STRANGER, Who.ADMIN},
    Access.OWNER: {Who.NOBODY, Who.OWNER, Who.UNVERIFIED},
    Access.OWNER_OR_ADMIN: {Who.NOBODY, Who.OWNER, Who.UNVERIFIED, Who.ADMIN},
    Access.ADMIN: {Who.ADMIN},
}
