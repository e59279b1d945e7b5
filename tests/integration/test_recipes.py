"""Tests of docs/recipes.md: each recipe is applied to a copy of the functions."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.bootstrap import Backend
from imagegen.domain.catalog import Kind
from tests.support.api import Api
from tests.support.backend import AddUser
from tests.support.catalog import names
from tests.support.orders import order
from tests.support.wire import ObservedClient
from tools.emulators.project import ROOT

CALL = """
import json, sys
from tests.support.api import Api
print(json.dumps(Api().call(sys.argv[1], json.loads(sys.argv[2])).get_json()))
"""
BUSY = 503


def blocks(recipe: str) -> list[str]:
    """Return the recipe's code blocks."""
    [section] = re.findall(
        rf"^## {recipe}\n(.*?)(?=^## |\Z)", (ROOT / "docs/recipes.md").read_text("utf-8"), re.M | re.S
    )
    return re.findall(r"^```\w+\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@contextmanager
def image_server(asked: list[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    """Run a server for the recipe's provider. It refuses the first call as busy. Yield its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append((self.headers["Idempotency-Key"], body))
            self.send_response(BUSY if len(asked) == 1 else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"url": "https://images.example.com/painted.png"}).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/images"
        server.shutdown()


def call(functions: Path, client: ObservedClient, name: str, data: object, **settings: str) -> Any:
    """Call the function ``name`` in ``functions``, wired as it is deployed. Return its answer."""
    done = subprocess.run(
        [sys.executable, "-c", CALL, name, json.dumps(data)],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": f"{functions}:{ROOT}",
            "GOOGLE_CLOUD_PROJECT": client.project,
            "REQUIRE_AUTH": "false",
            **settings,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    """Return a copy of the functions."""
    ignored = shutil.ignore_patterns("venv", "__pycache__")
    return Path(shutil.copytree(ROOT / "functions", tmp_path / "functions", ignore=ignored))


def append(file: Path, code: str) -> None:
    with file.open("a", encoding="utf-8") as opened:
        opened.write(f"\n\n{code}")


def test_recipe_adds_and_withdraws_an_option(
    client: ObservedClient, firestore_host: str, api: Api, backend: Backend, add_user: AddUser
) -> None:
    def run(command: str) -> None:
        here = command.replace("127.0.0.1:8080", firestore_host).replace("demo-imagegen", client.project)
        subprocess.run(["bash", "-c", here], check=True, capture_output=True, timeout=60)

    add, use, withdraw = blocks("Add an option")
    [body] = re.findall(r"-d '(.*)'", use, re.DOTALL)
    add_user("user-100", paid=100)

    run(add)
    assert api.result("getCatalog", {})["styles"][-1] == {"id": "pop-art", "name": "pop art"}
    assert api.result("createGenerationRequest", json.loads(body)["data"])["deductedCredits"] == 1

    run(withdraw)
    [style] = [style for style in backend.catalogs.load().styles if style.id == "pop-art"]
    assert (style.name, style.enabled, style.position) == ("pop art", False, 6)


def test_recipe_adds_a_function(client: ObservedClient, database: FirestoreDatabase, functions: Path) -> None:
    module, deployed = blocks("Add a function")
    (functions / "imagegen/api/prices.py").write_text(module, "utf-8")
    append(functions / "main.py", deployed)
    assert call(functions, client, "getPrice", {"size": "1024x1024"}) == {"result": {"credits": 3}}


def test_recipe_adds_a_provider(client: ObservedClient, add_user: AddUser, functions: Path) -> None:
    adapter, parameter, created, wired, setting, model = blocks("Add a provider")
    (functions / "imagegen/adapters/generators/painter.py").write_text(adapter, "utf-8")
    append(functions / "imagegen/settings.py", parameter)
    bootstrap = functions / "imagegen/bootstrap.py"
    before, mock, after = bootstrap.read_text("utf-8").partition(wired.splitlines(keepends=True)[0])
    assert mock, "the recipe shows a line that is not there"
    bootstrap.write_text(before + wired + after, "utf-8")
    append(bootstrap, created)
    client.document("models/painter").set(json.loads(model))
    add_user(paid=10)
    asked: list[tuple[str, dict[str, Any]]] = []
    imported = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "import sys, main; print('painter' in ' '.join(sys.modules))"],
        cwd=functions,
        env={**os.environ, "FUNCTION_TARGET": "createGenerationRequest", "GOOGLE_CLOUD_PROJECT": client.project},
        capture_output=True,
        text=True,
        check=True,
    )
    assert imported.stdout == "False\n"  # no cold start pays for it
    painting = order(model="Painter", size="1024x1792")

    unset = call(functions, client, "createGenerationRequest", painting)
    with image_server(asked) as url:
        answer = call(functions, client, "createGenerationRequest", painting, **{setting.partition("=")[0]: url})

    assert unset["error"]["details"]["violations"][0]["allowed"] == names(Kind.MODEL)
    result = answer["result"]
    assert result["imageUrl"] == "https://images.example.com/painted.png"
    image = {
        "model": "painter-2-large",
        "prompt": "a lighthouse. Style: oil painting. Colors: neon.",
        "width": 1024,
        "height": 1792,
        "quality": "high",
    }
    assert asked == [(result["generationRequestId"], image)] * 2
