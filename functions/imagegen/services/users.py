"""Finds users by id, e-mail address or name, for admins."""

from collections.abc import Sequence
from datetime import datetime
from sys import maxunicode

from imagegen.dataclass import dataclass
from imagegen.documents.accounts import USERS, user_path
from imagegen.documents.fields import MOMENT_MIN
from imagegen.documents.users import found_user_of
from imagegen.domain.users import FoundUser, spellings
from imagegen.ports.database import Database, Query, Snapshot, Where

QUERIES_MAX = 10
"""The maximum number of queries for a page. More than a few are needed only if users match in several ways."""


@dataclass(frozen=True)
class Place:
    """A place in the results: the number of the search, and the value and the id of the last user of it, if any."""

    search: int = 0
    after: tuple[str | datetime, str] | None = None


@dataclass(frozen=True)
class FoundUsers:
    """A page of users, and the place where the next page starts, if there may be one."""

    users: Sequence[FoundUser]
    next: Place | None


@dataclass(frozen=True)
class _Search:
    """The users whose ``field`` begins with ``prefix``."""

    field: str
    prefix: str

    def query(self, after: tuple[str | datetime, str] | None, limit: int) -> Query:
        beginning_so = (
            Where(self.field, ">=", self.prefix),
            Where(self.field, "<", self.prefix + chr(maxunicode)),
        )
        return Query(USERS, beginning_so, order_by=self.field, ascending=True, start_after=after, limit=limit)

    def finds(self, user: Snapshot) -> bool:
        value = user.data.get(self.field)
        return isinstance(value, str) and value.startswith(self.prefix)


@dataclass(frozen=True)
class UserSearch:
    """Each method returns a user whose document cannot be read without a balance, and raises DatabaseUnavailable."""

    database: Database

    def newest(self, size: int, place: Place | None) -> FoundUsers:
        """Return up to ``size`` users, newest first."""
        newest = Query(
            USERS,
            (Where("createdAt", ">=", MOMENT_MIN),),
            order_by="createdAt",
            start_after=None if place is None else place.after,
            limit=size,
        )
        found = self.database.find(newest)
        next = Place(0, (found[-1].data["createdAt"], found[-1].id)) if len(found) == size else None
        return FoundUsers([found_user_of(user) for user in found], next)

    def matching(self, text: str, user_id: str | None, size: int, place: Place | None) -> FoundUsers:
        """Return up to ``size`` users: the one with ``user_id``, and those with an address or name that begins so.

        The address is the e-mail address, and the name the display name. Capitals make no difference. Firebase Auth
        stores addresses in lower case. Accounts of earlier versions have no ``searchName``, so names are also looked up
        in their common spellings. A page may have fewer users although another one follows.
        """
        searches = [
            _Search("email", text.lower()),
            _Search("searchName", text.casefold()),
            *(_Search("displayName", spelling) for spelling in spellings(text)),
        ]
        users: list[FoundUser] = []
        if place is None:
            named = self.database.read(user_path(user_id)) if user_id is not None else []
            users += [found_user_of(user) for user in named if user.exists]
            place = Place()
        for _ in range(QUERIES_MAX):
            if place.search == len(searches):
                return FoundUsers(users, None)
            wanted = size - len(users)
            if not wanted:
                break
            search, earlier = searches[place.search], searches[: place.search]
            found = self.database.find(search.query(place.after, wanted))
            users += [
                found_user_of(user)
                for user in found
                if user.id != user_id and not any(other.finds(user) for other in earlier)
            ]
            if len(found) < wanted:
                place = Place(place.search + 1)
            else:
                place = Place(place.search, (found[-1].data[search.field], found[-1].id))
        return FoundUsers(users, place)
