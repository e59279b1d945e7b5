"""What an operator sets for a whole deployment, in ``functions/.env``: the parameters, read when they are needed.

Firebase asks at a deploy for parameters without a value, so each has one in that file.
"""

import os
from dataclasses import dataclass

from firebase_functions.params import BoolParam, IntParam

from imagegen.domain.ledger import Credits
from imagegen.domain.limits import Limits

REQUIRE_AUTH = BoolParam(
    "REQUIRE_AUTH",
    default=True,
    description="Refuse calls without a signed-in user. Off only in the local demo project.",
)
REQUIRE_VERIFIED_EMAIL = BoolParam(
    "REQUIRE_VERIFIED_EMAIL",
    default=True,
    description="Let only accounts with a verified e-mail address spend credits.",
)
ENFORCE_APP_CHECK = BoolParam(
    "ENFORCE_APP_CHECK",
    default=False,
    description="Refuse calls that do not come from your apps (App Check). Never enforced in the emulator.",
)
TRIAL_CREDITS = IntParam("TRIAL_CREDITS", default=10, description="The credits that a new user starts with.")
RATE_LIMIT_BURST = IntParam(
    "RATE_LIMIT_BURST", default=20, description="How many requests a user may make at once after a pause."
)
RATE_LIMIT_PER_MINUTE = IntParam(
    "RATE_LIMIT_PER_MINUTE", default=30, description="How many requests a minute a user may make for ever."
)
MAX_RUNNING_REQUESTS = IntParam(
    "MAX_RUNNING_REQUESTS", default=10, description="How many unfinished requests a user may have."
)
ALLOW_LOCAL_WEBHOOKS = BoolParam(
    "ALLOW_LOCAL_WEBHOOKS",
    default=False,
    description="Let webhooks go to http URLs and to this machine. On only in the local demo project.",
)


@dataclass(frozen=True)
class Variable:
    """A setting that may be left out and that Firebase does not know.

    Firebase would ask at each deploy for an optional parameter, and for a secret one it would need Secret Manager.
    """

    name: str
    description: str

    @property
    def value(self) -> str:
        """The text that is set, without space around it; empty if none is."""
        return os.environ.get(self.name, "").strip()


REPORT_WEBHOOK_URL = Variable(
    "REPORT_WEBHOOK_URL",
    description="Where the weekly report posts its alerts: any https URL, or an http URL of a private address.",
)
REPORT_WEBHOOK_SECRET = Variable(
    "REPORT_WEBHOOK_SECRET",
    description="What the alerts are signed with: `whsec_` and at least 24 random bytes in base64.",
)


def auth_required() -> bool:
    return _is_on(REQUIRE_AUTH)


def verified_email_required() -> bool:
    return _is_on(REQUIRE_VERIFIED_EMAIL)


def app_check_enforced() -> bool:
    return _is_on(ENFORCE_APP_CHECK) and os.environ.get("FUNCTIONS_EMULATOR") != "true"


def local_webhooks_allowed() -> bool:
    return ALLOW_LOCAL_WEBHOOKS.value  # which takes everything but "true" for False


def welcome_credits() -> Credits:
    """Raises ValueError for a negative number."""
    credits = TRIAL_CREDITS.value
    if credits < 0:
        raise ValueError(f"TRIAL_CREDITS is 0 or more, not {credits}")
    return Credits(trial=credits)


def limits() -> Limits:
    """Raises ValueError for a limit below 1."""
    return Limits(
        burst=RATE_LIMIT_BURST.value,
        per_minute=RATE_LIMIT_PER_MINUTE.value,
        concurrent=MAX_RUNNING_REQUESTS.value,
    )


def _is_on(param: BoolParam) -> bool:
    # BoolParam takes everything but "true" for False; a typing slip must not open the backend.
    return os.environ.get(param.name, str(param.default)).strip().lower() != "false"
