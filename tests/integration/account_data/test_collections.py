"""Tests that every collection is classified: exported, deleted, erased or kept, and why."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from datetime import timedelta
from types import ModuleType

import imagegen
from imagegen.domain.catalog import Kind
from imagegen.domain.weeks import Week
from imagegen.services.account_data.collections import MAIL, NO_USER_DATA, USER_DATA, Deletion
from tests.support.account_data import USER, Account
from tests.support.times import NOON

CLASSIFIED = {data.name: data for data in USER_DATA}
ANY = "any"


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(imagegen.__path__, "imagegen."):
        yield importlib.import_module(found.name)


def named_by_paths(module: ModuleType) -> Iterator[str]:
    """Yield the collections in the paths that a module's functions return."""
    if not module.__name__.startswith(("imagegen.documents", "imagegen.reports")):
        return
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if name.endswith("_path") and function.__module__ == module.__name__:
            yield from function(*[ANY] * len(inspect.signature(function).parameters)).split("/")[::2]


def named_by_queries(module: ModuleType) -> Iterator[str]:
    """Yield the collections that a module's code queries or scans by a constant."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Name | ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("Query", "scan"):
                [argument] = node.args[:1]
                is_name = isinstance(argument, ast.Name)
                value = getattr(module, argument.id, None) if is_name else argument.value  # type: ignore[attr-defined]
                if isinstance(value, str):
                    yield value


def test_every_collection_in_the_code_is_classified() -> None:
    named = {kind.collection for kind in Kind}
    for module in modules():
        named |= {*named_by_paths(module), *named_by_queries(module)}
    named.discard(ANY)  # the collection for e-mails, which a parameter names
    assert len(named) > 15
    assert named == (CLASSIFIED.keys() - {MAIL}) | NO_USER_DATA.keys()
    assert not CLASSIFIED.keys() & NO_USER_DATA.keys()
    assert all(data.why for data in USER_DATA)


def holding(account: Account) -> set[str]:
    """Return the collections that name the user, also in the ids of documents below the user's document."""
    named = {path.split("/")[-2] for path in account.paths_with(USER)}
    mails = {"mail"} if account.database.collections.get("mail") else set()
    return {MAIL if name == "mail" else name for name in named | mails}


def test_every_document_that_names_the_user_is_in_a_classified_collection(account: Account) -> None:
    account.delete()
    after = holding(account)
    assert after == {name for name, data in CLASSIFIED.items() if data.deletion is not Deletion.DELETED} - {
        "weeklyReports"
    }


def test_every_classified_collection_holds_data_of_a_user(account: Account) -> None:
    before = holding(account)
    account.clock.at = NOON + timedelta(weeks=1)
    account.backend.reports.run(Week.of(NOON))
    account.delete()
    assert before | holding(account) == CLASSIFIED.keys()
