"""Runs the emulator in threads of this process."""

import json
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from werkzeug.serving import make_server

from tools.stripe_emulator.account import Account, Price
from tools.stripe_emulator.app import Api
from tools.stripe_emulator.clock import MovableClock
from tools.stripe_emulator.deliveries import Deliveries
from tools.stripe_emulator.idempotency import SavedResponses

HOST = "127.0.0.1"


def demo_prices() -> list[Price]:
    """Return the prices of the sample data's packages."""
    return [Price(**price) for price in json.loads(Path(__file__).with_name("prices.json").read_text("utf-8"))]


class StripeEmulator:
    """The emulator on a loopback port, for the duration of a ``with`` block. Port 0 is any free port.

    Events go to ``webhook_url``, signed with each of the secrets. ``report`` gets a line for each event that was not
    accepted.
    """

    def __init__(
        self,
        webhook_url: str,
        *,
        port: int = 0,
        secret_key: str = "sk_test_demo",
        webhook_secrets: Sequence[str] = ("whsec_demo",),
        prices: Sequence[Price] | None = None,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.secret_key = secret_key
        self.clock = MovableClock()
        self.deliveries = Deliveries(webhook_url, webhook_secrets, self.clock, report)
        self.account = Account(
            demo_prices() if prices is None else prices,
            self.clock,
            self.deliveries.enqueue,
            live="_live_" in secret_key,
        )
        api = Api(secret_key, self.account, self.clock, self.deliveries, SavedResponses(self.clock))
        self.faults = api.faults
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = make_server(HOST, port, api.app(), threaded=True)
        self.url = self.account.url = f"http://{HOST}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> "StripeEmulator":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.faults.stopped.set()
        self.deliveries.stop()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
