"""A table of the callers that each access allows, independent of the code under test."""

from enum import StrEnum, auto

from imagegen.api.auth import Access


class CallerKind(StrEnum):
    """A kind of caller, in relation to the owner of the requested data."""

    ANONYMOUS = auto()
    """Has no token, in a project that does not require authentication."""
    OWNER = auto()
    UNVERIFIED = auto()
    """The owner, with an e-mail address that is not verified."""
    OTHER_USER = auto()
    ADMIN = auto()


ALLOWED: dict[Access, set[CallerKind]] = {
    Access.SIGNED_IN: {
        CallerKind.ANONYMOUS,
        CallerKind.OWNER,
        CallerKind.UNVERIFIED,
        CallerKind.OTHER_USER,
        CallerKind.ADMIN,
    },
    Access.OWNER: {CallerKind.ANONYMOUS, CallerKind.OWNER, CallerKind.UNVERIFIED},
    Access.OWNER_OR_ADMIN: {CallerKind.ANONYMOUS, CallerKind.OWNER, CallerKind.UNVERIFIED, CallerKind.ADMIN},
    Access.ADMIN: {CallerKind.ADMIN},
}
