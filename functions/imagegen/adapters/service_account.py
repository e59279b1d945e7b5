"""The credentials of the functions' own service account."""

import threading
from typing import Any

from imagegen.adapters.generators.vertex import SCOPE, TOKEN_SECONDS, NoToken


class ServiceAccount:
    """Application default credentials, found and refreshed when they are needed. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._credentials: Any = None
        self._project = ""

    def project(self) -> str:
        self._load()
        return self._project

    def token(self) -> str:
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request

        self._load()
        with self._lock:
            try:
                if not self._credentials.valid:
                    self._credentials.refresh(_within(Request(), TOKEN_SECONDS))
            except GoogleAuthError as error:
                raise NoToken(is_transient=bool(getattr(error, "retryable", False))) from error
            return str(self._credentials.token)

    def _load(self) -> None:
        import google.auth
        from google.auth.exceptions import GoogleAuthError

        with self._lock:
            if self._credentials is None:
                try:
                    self._credentials, project = google.auth.default(scopes=[SCOPE])
                except GoogleAuthError as error:
                    raise NoToken(is_transient=False) from error
                self._project = project or ""


def _within(request: Any, seconds: float) -> Any:
    """Return the request function with a timeout, which the credentials do not set themselves."""

    def send(*arguments: Any, **options: Any) -> Any:
        return request(*arguments, **{**options, "timeout": seconds})

    return send
