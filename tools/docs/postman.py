"""Generates docs/postman_collection.json, a Postman collection (v2.1), from the OpenAPI document."""

import json
from typing import Any

from tools.docs import openapi
from tools.emulators.project import ROOT
from tools.seed import export, history

TARGET = ROOT / "docs" / "postman_collection.json"
FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
LOCAL_AUTH_URL = "http://127.0.0.1:9099"
SIGN_IN = "identitytoolkit.googleapis.com/v1/accounts:signInWithPassword"
SIGNED_IN = ("user-100", "user-admin")
SEND_TOKEN = """\
const token = pm.collectionVariables.get("token");
if (token) pm.request.headers.upsert({key: "Authorization", value: `Bearer ${token}`});"""
"""A script instead of the collection's own authorization, which may send a header without a token.

The functions refuse a header without a token.
"""

REMEMBER_TOKEN = 'pm.collectionVariables.set("token", pm.response.json().idToken);'

Item = dict[str, Any]


def collection(document: dict[str, Any]) -> Item:
    """Return a collection of the operations of an OpenAPI document, and of calls that sign in to the emulator."""
    info = document["info"]
    return {
        "info": {"name": info["title"], "description": info["description"], "schema": FORMAT},
        "variable": [
            {"key": "baseUrl", "value": document["servers"][0]["url"]},
            {"key": "authUrl", "value": LOCAL_AUTH_URL},
            {"key": "token", "value": ""},
        ],
        "item": [
            {
                "name": "Functions",
                "description": "If the variable token is set, these calls send it.",
                "event": [_script("prerequest", SEND_TOKEN)],
                "item": [_call(path, methods["post"]) for path, methods in document["paths"].items()],
            },
            {
                "name": "Sign in to the local emulator",
                "description": "Each call sets the variable token, which the other calls then send.",
                "item": [_sign_in(user_id) for user_id in SIGNED_IN],
            },
        ],
    }


def text() -> str:
    """Return the text of docs/postman_collection.json."""
    return json.dumps(collection(openapi.document()), indent=2, ensure_ascii=False) + "\n"


def _call(path: str, operation: dict[str, Any]) -> Item:
    [content] = operation["requestBody"]["content"].values()
    return {
        "name": operation["operationId"],
        "request": {
            "description": f"{operation['summary']} {operation['description']}",
            **_post(f"{{{{baseUrl}}}}{path}", content["example"]),
        },
    }


def _sign_in(user_id: str) -> Item:
    body = {"email": export.email(user_id), "password": history.source("users")["password"], "returnSecureToken": True}
    return {
        "name": f"as {user_id}",
        "event": [_script("test", REMEMBER_TOKEN)],
        "request": _post(f"{{{{authUrl}}}}/{SIGN_IN}?key=any", body),
    }


def _post(url: str, body: object) -> Item:
    return {
        "method": "POST",
        "header": [{"key": "Content-Type", "value": "application/json"}],
        "body": {
            "mode": "raw",
            "raw": json.dumps(body, indent=2, ensure_ascii=False),
            "options": {"raw": {"language": "json"}},
        },
        "url": url,
    }


def _script(when: str, script: str) -> Item:
    return {"listen": when, "script": {"type": "text/javascript", "exec": script.split("\n")}}
