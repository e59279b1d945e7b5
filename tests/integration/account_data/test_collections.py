"""Tests that every collection is classified: exported, deleted, erased or kept, and why."""

import ast
import importlib
import inspect
import json
import pkgutil
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

import imagegen
from imagegen.domain.catalog import Kind
from imagegen.domain.weeks import Week
from imagegen.services.account_data.collections import MAIL, NO_USER_DATA, USER_DATA, Deletion
from tests.support.account_data import USER, Account
from tests.support.times import NOON
from tools.emulators.project import ROOT

CLASSIFIED = {data.name: data for data in USER_DATA}
ANY = "*"
PATH = re.compile(r"[A-Za-z]\w*/([^/\s]+(/[^/\s]+)*)?")
NO_COLLECTIONS = {"application", "text", "image", "projects", "generations", "images", "exports"}
"""The first words of texts that look like paths of documents: media types, resources, URLs and folders of files."""


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(imagegen.__path__, "imagegen."):
        yield importlib.import_module(found.name)


def text_of(node: ast.AST, module: ModuleType) -> str:
    """Return the text of an expression, with ANY for the parts that only a call knows."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(text_of(part, module) for part in parts)
        case ast.FormattedValue(value=value):
            return text_of(value, module)
        case ast.Name() | ast.Attribute():
            with suppress(NameError, AttributeError):
                value = eval(ast.unparse(node), vars(module))
                return value if isinstance(value, str) else ANY
    return ANY


def named_by_code(module: ModuleType) -> Iterator[str]:
    """Yield the collections in all paths that a module's code spells, and those that it queries or scans by name."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Constant | ast.JoinedStr) and PATH.fullmatch(path := text_of(node, module)):
            if path.split("/")[0] in NO_COLLECTIONS:
                continue
            yield from path.split("/")[::2]
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("Query", "scan"):
            yield from (text_of(argument, module) for argument in node.args[:1])


def named_by_files() -> set[str]:
    """Return the collections that the rules and the indexes name."""
    rules = re.findall(r"match /(\w+)/\{", (ROOT / "firestore.rules").read_text("utf-8"))
    indexes = json.loads((ROOT / "firestore.indexes.json").read_text("utf-8"))
    of_indexes = [one["collectionGroup"] for one in (*indexes["indexes"], *indexes["fieldOverrides"])]
    return {*rules, *of_indexes} - {"databases", "mail"}


def test_every_collection_in_the_code_is_classified() -> None:
    named = {kind.collection for kind in Kind}.union(*map(named_by_code, modules()))
    named.discard(ANY)
    assert len(named) > 20
    assert named == (CLASSIFIED.keys() - {MAIL}) | NO_USER_DATA.keys()
    assert named_by_files() <= named
    assert not CLASSIFIED.keys() & NO_USER_DATA.keys()
    assert all(data.why for data in USER_DATA)


@pytest.mark.parametrize(
    "code",
    [
        'def path(id): return f"feedback/{id}"',
        'LATEST = "feedback/latest"',
        'NAME = "feedback"\ndef path(id): return f"{NAME}/{id}"',
        'NAME = "feedback"\ndef path(id): return f"users/{id}/{NAME}/{id}"',
        'def find(database): return database.find(Query("feedback"))',
        "def find(database): return database.scan(names.FEEDBACK)",
        'def write(database, data): database.commit(Put("feedback/" + data["id"], data))',
    ],
)
def test_new_collection_is_found(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "feature.py").write_text(f"import names\n{code}\n", "utf-8")
    (tmp_path / "names.py").write_text('FEEDBACK = "feedback"\n', "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("feature", "names"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert "feedback" in named_by_code(importlib.import_module("feature"))


def holding(account: Account) -> set[str]:
    """Return the collections that name the user, also in the ids of documents below the user's document."""
    named = {path.split("/")[-2] for path in account.paths_with(USER)}
    mails = {"mail"} if account.database.collections.get("mail") else set()
    stored = {path.split("/")[-1] for path, documents in account.database.collections.items() if documents}
    assert stored - {"mail"} <= CLASSIFIED.keys() | NO_USER_DATA.keys()
    return {MAIL if name == "mail" else name for name in named | mails}


def test_every_document_that_names_the_user_is_in_a_classified_collection(account: Account) -> None:
    account.delete()
    after = holding(account)
    assert after == {name for name, data in CLASSIFIED.items() if data.deletion is not Deletion.DELETED} - {
        "weeklyReports",
        "audits",
    }


def test_every_classified_collection_holds_data_of_a_user(account: Account) -> None:
    before = holding(account)
    account.clock.at = NOON + timedelta(weeks=1)
    account.backend.reports.run(Week.of(NOON))
    credits = account.document(f"users/{USER}")["credits"]
    account.database.edit(f"users/{USER}", credits={"trial": 0, "paid": 0})
    assert account.backend.daily_audit.run(account.clock.now()).findings
    account.database.edit(f"users/{USER}", credits=credits)
    account.delete()
    assert before | holding(account) == CLASSIFIED.keys()
