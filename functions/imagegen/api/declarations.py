"""Declares functions and parameters to the Firebase CLI, which reads what the SDK's classes record of them.

Only the CLI needs this module. A process that serves a function does not import it.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from firebase_functions.https_fn import on_call, on_request
from firebase_functions.options import RateLimits, RetryConfig
from firebase_functions.params import BoolParam, Expression, IntParam, SecretParam, StringParam
from firebase_functions.scheduler_fn import on_schedule
from firebase_functions.tasks_fn import on_task_dispatched

from imagegen import settings
from imagegen.settings import Parameter, Secret

_DECORATORS: Mapping[str, Callable[..., Any]] = {
    decorator.__name__: decorator for decorator in (on_call, on_request, on_task_dispatched, on_schedule)
}
_PARAMS: Mapping[type, Callable[..., Expression[Any]]] = {bool: BoolParam, int: IntParam, str: StringParam}


@functools.cache  # because the SDK refuses a second declaration
def _param(setting: Parameter | Secret) -> Expression[Any]:
    """Return a parameter or a secret as the SDK's class, which records it for the CLI."""
    if isinstance(setting, Secret):
        return SecretParam(setting.name, description=setting.description)
    return _PARAMS[type(setting.default)](setting.name, default=setting.default, description=setting.description)


for _setting in vars(settings).values():
    if isinstance(_setting, Parameter):
        _param(_setting)


def _typed(option: str, value: Any) -> Any:
    """Return the value of an option of a function as the SDK's types."""
    match option, value:
        case "rate_limits", limits:
            return RateLimits(**limits)
        case "retry_config", config:
            return RetryConfig(**config)
        case "secrets", secrets:
            return [_param(secret) for secret in secrets]
        case _, Parameter():
            return _param(value)
    return value


def declare(endpoint: Callable[..., Any], kind: str, name: str, options: Mapping[str, Any]) -> None:
    """Give an endpoint the attributes of the SDK's decorator ``kind``."""
    typed = {option: _typed(option, value) for option, value in options.items()}

    def function(_call: Any) -> None:
        """Stand for the endpoint in the SDK, which reads its name."""

    function.__name__ = name
    functools.update_wrapper(endpoint, _DECORATORS[kind](**typed)(function))
