"""Tests of docs/deploying.md: the script that creates the catalog of a new project."""

import os
import re
import subprocess
import sys

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.domain.catalog import Kind
from imagegen.ports.clock import SystemClock
from imagegen.services.catalog import Catalogs
from tests.support.backend import Provider
from tests.support.catalog import CATALOG
from tests.support.wire import ObservedClient
from tools.docs.write import DEPLOYING
from tools.emulators.project import ROOT


def test_script_creates_the_catalog(client: ObservedClient, firestore_host: str, provider: Provider) -> None:
    script = re.findall(r"```python\n(.*?)```", DEPLOYING.read_text("utf-8"), re.DOTALL)[0]
    subprocess.run(
        [sys.executable, "-c", script.replace("YOUR-PROJECT", client.project)],
        cwd=ROOT,
        env={**os.environ, "FIRESTORE_EMULATOR_HOST": firestore_host},
        check=True,
        capture_output=True,
        timeout=60,
    )
    written = Catalogs(FirestoreDatabase(client), {"mock": provider}, SystemClock()).load()
    for kind in Kind:
        assert written.names(kind) == CATALOG.names(kind)
    assert [size.credit_cost for size in written.sizes] == [size.credit_cost for size in CATALOG.sizes]
