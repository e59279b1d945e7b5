"""The Stripe of npm's `emulate`, an emulator that we did not write, and what it lacks.

It has no lookup keys, no amounts in sessions, and no ``client_reference_id``. A server in front of it adds them to its
responses, from what was sent. Its checkout page and its webhooks reach the backend as they are.
"""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from flask import Flask, Response, request
from werkzeug.serving import make_server

from tools.emulators.ports import free_ports
from tools.emulators.progress import wait_until
from tools.emulators.project import ROOT

WEBHOOK_SECRET = "whsec_of_emulate"
_CLI = ROOT / "node_modules" / "emulate" / "dist" / "index.js"
_PRICE = {"id": "price_starter", "currency": "usd", "unit_amount": 500}
_LOOKUP_KEY = "credits-starter"
_SENT = ("client_reference_id", "currency")


class _Completed:
    """The API of `emulate` at an address, with the fields that it lacks."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._sent: dict[str, dict[str, str]] = {}

    def app(self) -> Flask:
        app = Flask("emulate")
        app.add_url_rule("/v1/<path:path>", view_func=self._forward, methods=["GET", "POST"])
        return app

    def _forward(self, path: str) -> Response:
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}
        url = f"{self._address}/v1/{path}?{request.query_string.decode()}"
        answer = requests.request(request.method, url, data=request.get_data(), headers=headers, timeout=30)
        body = answer.json()
        if request.method == "POST" and answer.status_code == 200:
            self._sent[body["id"]] = {name: request.form[name] for name in _SENT}
        return Response(json.dumps(self._complete(body)), answer.status_code, content_type="application/json")

    def _complete(self, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("object") == "list":
            return {**body, "data": [self._complete(item) for item in body["data"]]}
        if body.get("object") == "price":
            return {**body, "lookup_key": _LOOKUP_KEY}
        if body.get("object") == "checkout.session":
            return {**body, "amount_total": _PRICE["unit_amount"], "payment_intent": None, **self._sent[body["id"]]}
        return body


@contextmanager
def emulate(directory: Path, webhook_url: str) -> Iterator[str]:
    """Run `emulate` with one price, and yield the address of its completed API. ``directory`` gets its files."""
    [port] = free_ports(1)
    seed = {
        "products": [{"name": "50 credits"}],
        "prices": [{**_PRICE, "product_name": "50 credits"}],
        "webhooks": [{"url": webhook_url, "events": ["*"], "secret": WEBHOOK_SECRET}],
    }
    (directory / "seed.json").write_text(json.dumps({"stripe": seed}), encoding="utf-8")
    command = ["node", str(_CLI), "start", "--service", "stripe", "--port", str(port), "--seed", "seed.json"]
    log = directory / "emulate.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=directory, stdout=output, stderr=output)
    try:
        address = f"http://localhost:{port}"
        assert wait_until(lambda: address in log.read_text("utf-8"), process, lambda: log.stat().st_size), (
            log.read_text()
        )
        with serving(_Completed(address).app()) as url:
            yield url
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """Serve an app on a free loopback port, and yield its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
