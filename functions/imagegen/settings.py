"""The parameters of a deployment, set in ``functions/.env`` and read when they are needed.

At a deploy, Firebase asks for parameters without a value, so that file sets each of them.
"""

import json
import os
import re
from collections.abc import Callable
from enum import StrEnum

from imagegen.dataclass import dataclass
from imagegen.domain.ledger import Credits
from imagegen.domain.limits import Limits


@dataclass(frozen=True)
class Parameter:
    """A parameter of a deployment, of the type of its default. Firebase checks the type at a deploy."""

    name: str
    default: bool | int | str
    description: str

    @property
    def value(self) -> str:
        """The value as a text, or the default if the parameter is left out."""
        return os.environ.get(self.name, str(self.default))


REQUIRE_AUTH = Parameter(
    "REQUIRE_AUTH",
    default=True,
    description="Refuse calls without a signed-in user. Off only in the local demo project.",
)
REQUIRE_VERIFIED_EMAIL = Parameter(
    "REQUIRE_VERIFIED_EMAIL",
    default=True,
    description="Refuse to spend the credits of an account whose e-mail address is not verified.",
)
ACCOUNTS_WITHOUT_EMAIL = Parameter(
    "ACCOUNTS_WITHOUT_EMAIL",
    default="phone",
    description="The accounts that can spend credits and get trial credits without an e-mail address: `none`, `phone` "
    "(accounts with a phone number, which Firebase verifies) or `all` (anonymous accounts too).",
)
ENFORCE_APP_CHECK = Parameter(
    "ENFORCE_APP_CHECK",
    default=False,
    description="Refuse calls that do not come from your apps (App Check). Never enforced in the emulator.",
)
TRIAL_CREDITS = Parameter("TRIAL_CREDITS", default=10, description="The trial credits of each person.")
RATE_LIMIT_BURST = Parameter(
    "RATE_LIMIT_BURST",
    default=20,
    description="The number of requests that a user can make at once, after a time without requests.",
)
RATE_LIMIT_PER_MINUTE = Parameter(
    "RATE_LIMIT_PER_MINUTE",
    default=30,
    description="The number of requests per minute that a user can make continuously.",
)
MAX_RUNNING_REQUESTS = Parameter(
    "MAX_RUNNING_REQUESTS", default=10, description="The number of unfinished requests that a user can have."
)
CANCELED_RUNS_PER_DAY = Parameter(
    "CANCELED_RUNS_PER_DAY",
    default=10,
    description="The number of requests per day that a user can cancel while their models run.",
)
CALLS_PER_MINUTE = Parameter(
    "CALLS_PER_MINUTE",
    default=300,
    description="The number of calls per minute that each instance of a function admits from a signed-in user.",
)
RESENT_WEBHOOKS_PER_HOUR = Parameter(
    "RESENT_WEBHOOKS_PER_HOUR", default=60, description="The number of webhooks per hour that a user can resend."
)
MIN_INSTANCES = Parameter(
    "MIN_INSTANCES",
    default=0,
    description="The number of instances of `createGenerationRequest`, and of `api`, that always run.",
)
ALLOW_LOCAL_WEBHOOKS = Parameter(
    "ALLOW_LOCAL_WEBHOOKS",
    default=False,
    description="Allow webhooks to http URLs and to this machine. On only in the local demo project, where "
    "`*.localhost` and `host.docker.internal` are this machine too.",
)


@dataclass(frozen=True)
class Variable:
    """An optional setting.

    It is not a Firebase parameter, because Firebase asks for an optional parameter at each deploy.
    """

    name: str
    description: str

    @property
    def value(self) -> str:
        """The value without surrounding whitespace, or an empty text if the setting is left out."""
        return os.environ.get(self.name, "").strip()


@dataclass(frozen=True)
class Switch(Variable):
    """A setting that turns a feature on: `true`, or `false`, which is the default."""

    @property
    def value(self) -> str:
        """``true``, or an empty text. Raises ValueError for anything else, because it was meant to be one of them."""
        value = super().value.lower()
        if value not in ("", "false", "true"):
            raise ValueError(f"{self.name} must be true or false")
        return value.removesuffix("false")


class Secret:
    """A secret of Secret Manager, for a feature that is on where ``switch`` is set.

    Firebase asks for each declared secret at a deploy, and fails without it. So the secret is declared only where its
    feature is on. The CLI loads functions/.env before it imports the functions, so the switch can be read on import.
    """

    def __init__(
        self, name: str, *, switch: Variable, description: str, emulator: Callable[[], str | None] = lambda: None
    ) -> None:
        """Declare the secret, unless ``emulator`` returns the address of an emulator that takes it.

        The value for an emulator is in `.env.demo-imagegen`. The CLI would ask Secret Manager for a declared one.
        """
        self.name = name
        self.switch = switch
        self.description = description
        self.declared = [self] if switch.value and not emulator() else []
        """The secret for the option ``secrets`` of each function that reads it, or nothing where it is not needed."""

    @property
    def value(self) -> str:
        """The value without surrounding whitespace, or an empty text in a function that does not declare the secret."""
        return os.environ.get(self.name, "").strip()


REPORT_WEBHOOK_URL = Variable(
    "REPORT_WEBHOOK_URL",
    description="The URL that the weekly report posts its alerts to: any https URL, or an http URL of a private "
    "address.",
)
REPORT_WEBHOOK_SECRET = Secret(
    "REPORT_WEBHOOK_SECRET",
    switch=REPORT_WEBHOOK_URL,
    description="The secret that signs the alerts: `whsec_` and at least 24 random bytes in base64.",
)


OPENAI_PROVIDER = Variable(
    "OPENAI_PROVIDER",
    description="Set it to `on` to offer models with the provider `openai`: OpenAI, or a server with the same API.",
)
OPENAI_API_KEY = Secret(
    "OPENAI_API_KEY",
    switch=OPENAI_PROVIDER,
    description="The key that is sent to the servers of models with the provider `openai`.",
)
PAYMENTS_ENABLED = Switch(
    "PAYMENTS_ENABLED", description="Set it to `true` to sell credits through Stripe. `false` is the default."
)
STRIPE_API_URL = Variable(
    "STRIPE_API_URL",
    description="The address of a server that speaks Stripe's API. Used only in the emulators.",
)


def stripe_api_url() -> str | None:
    """Return the address of the emulator of Stripe. In a deployed project, there is none, whatever is set."""
    return STRIPE_API_URL.value or None if _in_emulator() else None


def _in_emulator() -> bool:
    return os.environ.get("FUNCTIONS_EMULATOR") == "true"


STRIPE_SECRET_KEY = Secret(
    "STRIPE_SECRET_KEY",
    switch=PAYMENTS_ENABLED,
    emulator=stripe_api_url,
    description="The secret key of your Stripe account, or a restricted key. Its prefix says whether it is live.",
)
STRIPE_WEBHOOK_SECRET = Secret(
    "STRIPE_WEBHOOK_SECRET",
    switch=PAYMENTS_ENABLED,
    emulator=stripe_api_url,
    description="The signing secret of the webhook endpoint in Stripe. While you roll it, both, with a comma between.",
)
PURCHASE_RETURN_URLS = Variable(
    "PURCHASE_RETURN_URLS",
    description="The origins that buyers can return to from Stripe, such as `https://app.example.com`, with commas "
    "between. The default is your site.",
)
REFUND_UNSPENT_PURCHASES = Switch(
    "REFUND_UNSPENT_PURCHASES",
    description="Set it to `true` to refund the unspent part of a user's purchases when the account is deleted. "
    "`false` is the default.",
)
PUBLIC_BASE_URL = Variable(
    "PUBLIC_BASE_URL",
    description="The address of your site, without a slash at the end. A model's `imageUrl` can be a path on it. The "
    "default is the project's site on Firebase Hosting.",
)
MAIL_COLLECTION = Variable(
    "MAIL_COLLECTION",
    description="The collection that gets an e-mail for each queued request that has ended, such as `mail`. A program "
    "of yours sends them.",
)
STORAGE_BUCKET = Variable(
    "STORAGE_BUCKET", description="The bucket for images. The default is the default bucket of your Firebase project."
)


def served_function() -> str | None:
    """Return the name of the function that this process serves, or None in a tool, a test or discovery."""
    return os.environ.get("FUNCTION_TARGET")


def public_base_url() -> str:
    """Return the address of the project's site."""
    if PUBLIC_BASE_URL.value:
        return PUBLIC_BASE_URL.value.rstrip("/")
    if _in_emulator():
        return "http://127.0.0.1:5000"  # Hosting's port in firebase.json
    return f"https://{os.environ.get('GCLOUD_PROJECT', 'localhost')}.web.app"


def return_origins() -> tuple[str, ...]:
    """Return the origins that a buyer can return to, the default first."""
    origins = tuple(origin.strip().rstrip("/") for origin in PURCHASE_RETURN_URLS.value.split(",") if origin.strip())
    if origins:
        return origins
    local = ("http://localhost:5000",) if _in_emulator() else ()
    return (public_base_url(), *local)


def stripe_webhook_secrets() -> tuple[str, ...]:
    """Return the secrets that Stripe's webhooks can be signed with."""
    return tuple(re.split(r"[\s,]+", STRIPE_WEBHOOK_SECRET.value)) if STRIPE_WEBHOOK_SECRET.value else ()


def mail_collection() -> str:
    """Return the collection for e-mails, or an empty text. Raises ValueError if it is not the name of a collection."""
    name = MAIL_COLLECTION.value
    if name and not re.fullmatch("[A-Za-z][A-Za-z0-9_-]{0,99}", name):
        raise ValueError("MAIL_COLLECTION must be the name of a collection")
    return name


def storage_bucket() -> str | None:
    """Return the bucket for images, or None if there is none."""
    project = json.loads(os.environ.get("FIREBASE_CONFIG", "{}"))
    emulated = "STORAGE_EMULATOR_HOST" in os.environ
    if _in_emulator() and not emulated:
        return None  # the real bucket is not for the emulators
    return STORAGE_BUCKET.value or project.get("storageBucket")


def storage_host() -> str:
    """Return the URL of the service that images are downloaded from."""
    return os.environ.get("STORAGE_EMULATOR_HOST", "https://firebasestorage.googleapis.com")


def auth_required() -> bool:
    """Return whether calls need a signed-in user."""
    return _is_on(REQUIRE_AUTH)


def verified_email_required() -> bool:
    """Return whether an account with an e-mail address that is not verified must not spend credits."""
    return _is_on(REQUIRE_VERIFIED_EMAIL)


class AccountsWithoutEmail(StrEnum):
    """The accounts that can spend credits and get trial credits without an e-mail address."""

    NONE = "none"
    PHONE = "phone"
    ALL = "all"


def accounts_without_email() -> AccountsWithoutEmail:
    """Return the accounts that need no e-mail address. Raises ValueError for any other value than the three."""
    try:
        return AccountsWithoutEmail(ACCOUNTS_WITHOUT_EMAIL.value.strip().lower())
    except ValueError:
        raise ValueError("ACCOUNTS_WITHOUT_EMAIL must be none, phone or all") from None


def app_check_enforced() -> bool:
    """Return whether calls need an App Check token."""
    return _is_on(ENFORCE_APP_CHECK) and not _in_emulator()


def local_webhooks_allowed() -> bool:
    """Return whether webhooks may go to http URLs and to this machine."""
    return ALLOW_LOCAL_WEBHOOKS.value.lower() == "true"


def project_id() -> str:
    """Return the id of the project, or an empty text outside of one."""
    return os.environ.get("GOOGLE_CLOUD_PROJECT") or os.environ.get("GCLOUD_PROJECT", "")


def is_demo_project() -> bool:
    """Return whether the project is a demo project, which the CLI never deploys."""
    return project_id().startswith("demo-")


def trial_credits() -> Credits:
    """Return the credits of a new user. Raises ValueError for a negative number."""
    credits = int(TRIAL_CREDITS.value)
    if credits < 0:
        raise ValueError(f"TRIAL_CREDITS must be 0 or more, not {credits}")
    return Credits(trial=credits)


def limits() -> Limits:
    """Return the limits of each user. Raises ValueError for a limit below 1."""
    return Limits(
        burst=int(RATE_LIMIT_BURST.value),
        per_minute=int(RATE_LIMIT_PER_MINUTE.value),
        concurrent=int(MAX_RUNNING_REQUESTS.value),
        canceled_runs_per_day=int(CANCELED_RUNS_PER_DAY.value),
        calls_per_minute=int(CALLS_PER_MINUTE.value),
        resends_per_hour=int(RESENT_WEBHOOKS_PER_HOUR.value),
    )


def _is_on(protection: Parameter) -> bool:
    # A typing error must not turn a protection off.
    return protection.value.strip().lower() != "false"
