"""Declares functions to the Firebase CLI, which reads attributes that the SDK's decorators set."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from firebase_functions.https_fn import on_call, on_request
from firebase_functions.options import RateLimits, RetryConfig
from firebase_functions.scheduler_fn import on_schedule
from firebase_functions.tasks_fn import on_task_dispatched

_DECORATORS: Mapping[str, Callable[..., Any]] = {
    decorator.__name__: decorator for decorator in (on_call, on_request, on_task_dispatched, on_schedule)
}
_TYPES = {"rate_limits": RateLimits, "retry_config": RetryConfig}


def declare(endpoint: Callable[..., Any], kind: str, name: str, options: Mapping[str, Any]) -> None:
    """Give an endpoint the attributes of the SDK's decorator ``kind``."""
    typed = {option: _TYPES[option](**value) if option in _TYPES else value for option, value in options.items()}

    def function(_call: Any) -> None:
        """Stand for the endpoint in the SDK, which reads its name."""

    function.__name__ = name
    functools.update_wrapper(endpoint, _DECORATORS[kind](**typed)(function))
