"""Lists and changes the options of the catalog for admins, and records who changed them."""

from collections.abc import Mapping, Sequence
from typing import Any

from imagegen.dataclass import dataclass
from imagegen.documents.catalog_changes import CATALOG_CHANGES, change_id, change_of, change_path, create_change
from imagegen.domain.catalog import Kind
from imagegen.domain.catalog_changes import (
    FIELDS,
    CatalogChange,
    FieldChange,
    StoredOption,
    UnreadableOption,
    Value,
    version_of,
)
from imagegen.errors import InvalidInput, OptionChanged, OptionNotFound, Violation
from imagegen.ports.clock import Clock
from imagegen.ports.database import Database, Query, Snapshot, Update
from imagegen.services.catalog import SHAPES, Catalogs, problems_of
from imagegen.services.pagination import page
from imagegen.services.retry import Retry

OPTIONS_MAX = 500
"""The maximum number of options of a kind that are listed. Calls read all options of the catalog."""

CHANGES_LISTED = 20


@dataclass(frozen=True)
class Updated:
    """The answer to an update. ``change`` is None if every field had its value already.

    ``is_replay`` is True if an earlier call made the change.
    """

    option: StoredOption
    change: CatalogChange | None
    is_replay: bool = False


@dataclass(frozen=True)
class CatalogOptions:
    database: Database
    catalogs: Catalogs
    clock: Clock
    retry: Retry

    def list(self) -> Sequence[StoredOption | UnreadableOption]:
        """Return all options, also disabled ones, in display order, and after them those that cannot be read.

        Raises DatabaseUnavailable.
        """
        options = [
            self._option(kind, document)
            for kind in Kind
            for document in self.database.find(Query(kind.collection, limit=OPTIONS_MAX))
        ]
        kinds = list(Kind)
        readable = [option for option in options if isinstance(option, StoredOption)]
        readable.sort(key=lambda one: (kinds.index(one.kind), one.option.position, one.option.id))
        return [*readable, *(option for option in options if isinstance(option, UnreadableOption))]

    def changes(self) -> Sequence[CatalogChange]:
        """Return the latest changes, newest first. Raises DatabaseUnavailable."""
        return page(self.database, Query(CATALOG_CHANGES, order_by="changedAt"), CHANGES_LISTED, change_of).items

    def update(self, kind: Kind, id: str, version: str, values: Mapping[str, Value], changed_by: str) -> Updated:
        """Give the fields of an option new values and record the change, in one commit. Return the new option.

        A repeated call returns the option as it is now. The option of the result can be read by the catalog, even if
        it could not before.

        Raises OptionNotFound, OptionChanged if the option has another version, and InvalidInput if the kind has no such
        field, if the catalog could not read the option, or if no option of the kind would be left. If the retries fail,
        raises CommitRefused, OutcomeUnknown or DatabaseUnavailable.
        """
        _refuse([(field, f"is not a field of a {kind} that can be changed") for field in values.keys() - FIELDS[kind]])
        path, record = f"{kind.collection}/{id}", change_path(change_id(kind, id, version, values))

        mine: list[CatalogChange] = []  # a commit of this call may be applied although its answer was lost

        def attempt(_tries: int) -> Updated:
            option, recorded = self.database.read(path, record)
            if not option.exists:
                raise OptionNotFound(f"There is no {kind} {id!r}.", kind=kind, id=id)
            if recorded.exists:
                change = change_of(recorded)
                return Updated(self._readable(kind, option), change, is_replay=change not in mine)
            if option.version is None or version_of(option.version) != version:
                raise OptionChanged(
                    f"The {kind} {id!r} was changed by someone else. Nothing was changed. Look at it again.",
                    kind=kind,
                    id=id,
                )
            update = _update(option, values)
            if not update.fields:
                return Updated(self._readable(kind, option), None)
            changed = Snapshot(path, _data_after(option, update), option.version)
            self._readable(kind, changed)
            if values.get("enabled") is False:
                self._check_others_are_left(kind, id)
            change = CatalogChange(
                record.rpartition("/")[2],
                kind,
                id,
                changed_by,
                self.clock.now(),
                [_field_change(option, field, value) for field, value in update.fields.items()],
            )
            mine.append(change)
            new_version, *_ = self.database.commit(update, create_change(change))
            return Updated(self._readable(kind, Snapshot(path, changed.data, new_version)), change)

        return self.retry(attempt)

    def _option(self, kind: Kind, document: Snapshot) -> StoredOption | UnreadableOption:
        assert document.version is not None, "a query finds existing documents"
        version = version_of(document.version)
        try:
            return StoredOption(kind, self.catalogs.parse(document, SHAPES[kind]), version)
        except ValueError as error:
            return UnreadableOption(kind, document.id, document.path, version, problems_of(error))

    def _readable(self, kind: Kind, document: Snapshot) -> StoredOption:
        """Return the option. Raises InvalidInput if the catalog could not read it."""
        option = self._option(kind, document)
        if isinstance(option, UnreadableOption):
            _refuse(option.problems)
        assert isinstance(option, StoredOption), "it was refused otherwise"
        return option

    def _check_others_are_left(self, kind: Kind, id: str) -> None:
        """Raise InvalidInput if no other option of the kind is enabled. Without one, all calls would be refused."""
        documents = self.database.find(Query(kind.collection, limit=OPTIONS_MAX))
        others = [self._option(kind, document) for document in documents if document.id != id]
        if not any(isinstance(other, StoredOption) and other.option.enabled for other in others):
            _refuse([("enabled", f"must stay true, because no other {kind} is enabled")])


def _refuse(problems: Sequence[tuple[str, str]]) -> None:
    """Raise InvalidInput if there are problems."""
    violations: list[Violation] = [
        {"field": f"changes.{field}" if field else "changes", "message": message} for field, message in sorted(problems)
    ]
    if violations:
        raise InvalidInput(violations)


def _path_of(option: Snapshot, field: str) -> str:
    """Return the path of a field. A field of the provider may be in the map ``providerOptions``."""
    inner = option.data.get("providerOptions")
    return f"providerOptions.{field}" if isinstance(inner, dict) and field in inner else field


def _stored(option: Snapshot, path: str) -> Any:
    value: Any = option.data
    for part in path.split("."):
        value = value.get(part)
    return value


def _update(option: Snapshot, values: Mapping[str, Value]) -> Update:
    """Return the update of the fields that do not have their values."""
    assert option.version is not None, "only an option that was read can be updated"
    paths = {_path_of(option, field): value for field, value in values.items()}
    changed = {path: value for path, value in paths.items() if not _is_same(_stored(option, path), value)}
    return Update(option.path, changed, option.version)


def _is_same(stored: Any, value: Value) -> bool:
    """Return whether a stored value is equal, and not only equal to a number as True is to 1."""
    return isinstance(stored, bool) == isinstance(value, bool) and bool(stored == value)


def _data_after(option: Snapshot, update: Update) -> dict[str, Any]:
    data = dict(option.data)
    for path, value in update.fields.items():
        outer, _, field = path.rpartition(".")
        if outer:
            data[outer] = {**data[outer], field: value}
        else:
            data[field] = value
    return data


def _field_change(option: Snapshot, path: str, value: Value) -> FieldChange:
    before = _stored(option, path)
    return FieldChange(path.rpartition(".")[2], before if isinstance(before, bool | int | float | str) else None, value)
