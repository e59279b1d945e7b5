"""The deployed functions over HTTP, without a network."""

from functools import cache
from typing import Any

from flask import Flask, Response, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import TestResponse

import main

CALLABLES = [
    name
    for name, function in vars(main).items()
    if (endpoint := getattr(function, "__firebase_endpoint__", None)) and endpoint.callableTrigger is not None
]
"""The names of all functions that apps call."""


def _read_to_the_end(response: Response) -> Response:
    """Read the rest of the request body, as functions-framework does."""
    request.get_data()
    return response


def _rest_app() -> Flask:
    """Return the function ``api`` as an app, which sees the paths after the function's name."""
    app = Flask("api")
    for path in ("/", "/<path:path>"):
        app.add_url_rule(
            path,
            endpoint=path,
            view_func=lambda path="": main.api(request),
            methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
            provide_automatic_options=False,
            merge_slashes=False,
        )
    app.after_request(_read_to_the_end)
    return app


@cache
def _app() -> Flask:
    """Return an app that serves all functions. It takes longer to make than most tests, and has no state."""
    app = Flask("functions")
    for name, function in vars(main).items():
        if not hasattr(function, "__firebase_endpoint__") or function is main.api:
            continue
        app.add_url_rule(
            f"/{name}",
            endpoint=name,
            view_func=lambda function=function: function(request),
            methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"],
            provide_automatic_options=False,
        )
    app.after_request(_read_to_the_end)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/api": _rest_app().wsgi_app})  # type: ignore[method-assign]
    return app


class Api:
    """An HTTP client of the decorated functions, which Flask serves as functions-framework does."""

    def __init__(self) -> None:
        self.http = _app().test_client()

    def call(self, function: str, data: object, **headers: str) -> TestResponse:
        """Call a function as the client SDKs do."""
        return self.http.post(f"/{function}", json={"data": data}, headers=headers)

    def rest(self, method: str, path: str, body: object = None, **headers: str) -> TestResponse:
        """Send a request to the REST API, with a JSON body unless it is None."""
        return self.http.open(f"/api{path}", method=method, json=body, headers=headers)

    def result(self, function: str, data: object) -> Any:
        """Return the result of a call, which must succeed."""
        response = self.call(function, data)
        assert response.status_code == 200, response.get_data(as_text=True)
        return response.get_json()["result"]

    def error(self, function: str, data: object) -> Any:
        """Return the error of a call, which must be refused."""
        response = self.call(function, data)
        assert response.status_code != 200, response.get_data(as_text=True)
        return response.get_json()["error"]
