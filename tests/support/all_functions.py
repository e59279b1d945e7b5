"""One function that serves all functions of main.py, each at its name, as the Functions emulator does.

functions-framework runs it in a process of its own, with the environment of the functions.
"""

import os
import sys
from pathlib import Path
from typing import Any

from flask import Request, Response

sys.path.insert(0, str(Path.cwd()))  # the functions' directory, in which their servers run
del os.environ["FUNCTION_TARGET"]  # main declares its functions in processes that serve none of them

import main


def all_functions(request: Request) -> Any:
    """Answer with the function whose name is the first part of the path. The rest is the path that it gets."""
    name, slash, path = request.environ["PATH_INFO"][1:].partition("/")  # still in the encoding of WSGI
    function: Any = getattr(main, name, None)
    if not hasattr(function, "__firebase_endpoint__"):
        return Response("There is no such function", 404)
    called = {**request.environ, "SCRIPT_NAME": f"/{name}", "PATH_INFO": slash + path}
    return function(Request(called))
