"""Users as a search shows them, and the spellings of a name that a search tries."""

from datetime import datetime

from imagegen.dataclass import dataclass
from imagegen.domain.ledger import Credits


@dataclass(frozen=True)
class FoundUser:
    """A user's profile and balance. ``unreadable_field`` is the field because of which there is no balance."""

    id: str
    email: str | None = None
    display_name: str | None = None
    created_at: datetime | None = None
    credits: Credits | None = None
    unreadable_field: str | None = None


def spellings(name: str) -> list[str]:
    """Return the common spellings of a name: as it is, and in other capitals."""
    return list(dict.fromkeys((name, name.lower(), name.upper(), name.capitalize(), name.title())))
