"""Reads everything about a user, page by page, as JSON lines."""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import isfinite
from typing import Any

from imagegen.dataclass import dataclass
from imagegen.documents.accounts import ledger_path
from imagegen.documents.generations import REQUESTS
from imagegen.documents.mail import mail_paths
from imagegen.domain.account_data import Place
from imagegen.domain.times import rfc3339
from imagegen.ports.auth_accounts import AuthAccounts
from imagegen.ports.database import Database, Query, Snapshot, Where
from imagegen.services.account_data.collections import EXPORTED, Found, UserData

PAGE_SIZE = 100

AUTH = "firebaseAuth"
"""The name of the lines about the account that a user signs in with."""


@dataclass(frozen=True)
class UserDocuments:
    """The documents of all users, and their accounts in Firebase Auth.

    Methods raise DatabaseUnavailable and AuthUnavailable.
    """

    database: Database
    mail_collection: str
    auth_accounts: AuthAccounts

    def page(self, user_id: str, place: Place) -> tuple[list[bytes], Place | None]:
        """Return the next lines of a user's export, and the place after them, or None at the end.

        After all collections follows the account that the user signs in with.
        """
        if place.collection == len(EXPORTED):
            account = self.auth_accounts.get(user_id)
            return [] if account is None else [_json(AUTH, {"id": user_id}, account)], None
        data = EXPORTED[place.collection]
        documents, after = self._documents(data, user_id, place.after)
        lines = [_line(data, document) for document in documents if document.exists]
        if after is not None:
            return lines, Place(place.collection, after)
        return lines, Place(place.collection + 1)

    def _documents(self, data: UserData, user_id: str, after: str | None) -> tuple[Sequence[Snapshot], str | None]:
        """Return a page of documents, and the id that the next page starts after, or None at the end."""
        match data.found:
            case Found.BY_ID:
                return self.database.read(f"{data.name}/{user_id}"), None
            case Found.BELOW:
                return self._found(Query(ledger_path(user_id)), after)
            case Found.BY_FIELD:
                return self._found(_of_user(data.name, user_id), after)
            case Found.BY_REQUEST:
                return self._mails(user_id, after)
        raise AssertionError("a collection that is exported can be found")

    def _found(self, query: Query, after: str | None) -> tuple[Sequence[Snapshot], str | None]:
        documents = self.database.find(by_id(query, after))
        return documents, documents[-1].id if len(documents) == PAGE_SIZE else None

    def _mails(self, user_id: str, after: str | None) -> tuple[Sequence[Snapshot], str | None]:
        if not self.mail_collection:
            return [], None
        requests, next_after = self._found(_of_user(REQUESTS, user_id), after)
        paths = [path for request in requests for path in mail_paths(self.mail_collection, request.id)]
        return self.database.read(*paths) if paths else [], next_after


def _of_user(collection: str, user_id: str) -> Query:
    return Query(collection, (Where("userId", "==", user_id),))


def requests_of(user_id: str, after: str | None) -> Query:
    """Return the query for a page of the requests of a user, in the order of their ids."""
    return by_id(_of_user(REQUESTS, user_id), after)


def by_id(query: Query, after: str | None) -> Query:
    """Return a query for a page of its documents in the order of their ids, which finds each document."""
    start = None if after is None else (after,)
    return Query(query.collection, query.where, "__name__", ascending=True, start_after=start, limit=PAGE_SIZE)


def _line(data: UserData, document: Snapshot) -> bytes:
    fields = {name: value for name, value in document.data.items() if name not in data.withheld}
    return _json(document.path.split("/")[-2], {} if data.withholds_id else {"id": document.id}, fields)


def _json(collection: str, id: Mapping[str, str], data: Mapping[str, Any]) -> bytes:
    line = {"collection": collection, **id, "data": _plain(data)}
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _plain(value: Any) -> Any:
    """Return a value of a document as JSON data."""
    match value:
        case None | str() | bool() | int():
            return value
        case float():
            return value if isfinite(value) else str(value)
        case datetime():
            return rfc3339(value)
        case bytes():
            return base64.b64encode(value).decode()
        case Mapping():
            return {name: _plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
    return str(value)
