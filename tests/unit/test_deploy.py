"""Tests of the files that `firebase deploy` reads: the functions' manifest, settings and dependencies."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import yaml
from firebase_functions.private.serving import functions_as_yaml

import main
from imagegen import settings
from imagegen.adapters.cloud_storage import CALL_SECONDS
from imagegen.adapters.cloud_tasks import DISPATCH_SECONDS, ENQUEUE_SECONDS
from imagegen.adapters.firestore import CALL_TIMEOUT_SECONDS
from imagegen.adapters.http_webhook_sender import TIMEOUT_SECONDS
from imagegen.api.auth import CHECK_SECONDS
from imagegen.api.bodies import SECONDS_MAX
from imagegen.api.rest.generations import WAIT_MAX
from imagegen.api.rest.routes import ROUTES
from imagegen.bootstrap import RESERVING_TIMEOUT_SECONDS, SETTLING_TIMEOUT_SECONDS, SWEEPING_TIMEOUT_SECONDS
from imagegen.deadlines import LATE_CALLS_MAX
from imagegen.domain.catalog import Model
from imagegen.domain.generation import LEASE_GRACE
from imagegen.domain.images import VARIANTS
from imagegen.domain.webhooks import OVERDUE, RETRY_WINDOW, SENDING_LEASE
from imagegen.services.catalog import LOAD_WAIT_SECONDS
from imagegen.services.credits.daily_audit import RUN_SECONDS, USER_SECONDS
from imagegen.services.sweeper import SWEEP_SECONDS
from imagegen.services.turns import TURN_SECONDS_MAX
from tools.emulators.project import ROOT, Project

FUNCTIONS = ROOT / "functions"

MODULES_MAX = 931
"""The modules that an instance of createGenerationRequest imports at a cold start. The bare implementation in
tools/bench imports 921."""


STORING_SECONDS = (1 + len(VARIANTS)) * CALL_SECONDS + 5
"""Each file is stored by its deadline. An instance has 16 threads, and encodes a picture in a quarter of a second."""


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    functions = {name: value for name, value in vars(main).items() if hasattr(value, "__firebase_endpoint__")}
    manifest: dict[str, Any] = yaml.safe_load(functions_as_yaml(functions))
    return manifest


def test_manifest_has_every_function(manifest: dict[str, Any]) -> None:
    endpoints = manifest["endpoints"]
    scheduled = {name for name, endpoint in endpoints.items() if "scheduleTrigger" in endpoint}
    assert scheduled == {"scheduleWeeklyReport", "countDailyUsage", "auditLedgers", "sweepAbandonedRequests"}
    queued = {name for name, endpoint in endpoints.items() if "taskQueueTrigger" in endpoint}
    models = {"generateImage", "generateWithModelA", "generateWithModelB"}
    assert queued == {*models, "deliverWebhook", "retryWebhook", "writeAccountExport"}
    for name in ("deliverWebhook", "retryWebhook"):
        retries = endpoints[name]["taskQueueTrigger"]["retryConfig"]
        assert retries["maxRetrySeconds"] == RETRY_WINDOW.total_seconds()
    assert set(endpoints) - scheduled - queued == {
        "createGenerationRequest",
        "getGenerationRequest",
        "cancelGenerationRequest",
        "replaceImageUrls",
        "listGenerationRequests",
        "getWebhookSecret",
        "createWebhookEndpoint",
        "listWebhookEndpoints",
        "deleteWebhookEndpoint",
        "rotateWebhookEndpointSecret",
        "listWebhookDeliveries",
        "resendWebhook",
        "getCatalog",
        "getUserCredits",
        "listCreditTransactions",
        "getCreditBalance",
        "registerUser",
        "grantCredits",
        "createApiKey",
        "listApiKeys",
        "revokeApiKey",
        "createPurchase",
        "getPurchase",
        "reconcilePurchase",
        "listPurchases",
        "findPurchases",
        "getWeeklyReport",
        "listWeeklyReports",
        "runWeeklyReport",
        "findUsers",
        "listCatalogOptions",
        "updateCatalogOption",
        "exportAccount",
        "getAccountExport",
        "deleteAccount",
        "getOperations",
        "getAudit",
        "api",
        "stripeWebhook",
    }
    assert all(endpoint["region"] == ["us-central1"] for endpoint in endpoints.values())
    assert all(
        "callableTrigger" in endpoints[name] for name in set(endpoints) - scheduled - queued - {"api", "stripeWebhook"}
    )
    assert all("httpsTrigger" in endpoints[name] for name in ("api", "stripeWebhook"))
    schedule = endpoints["scheduleWeeklyReport"]["scheduleTrigger"]
    assert (schedule["schedule"], schedule["timeZone"]) == ("0 6 * * 1", "Etc/UTC")
    daily = endpoints["countDailyUsage"]["scheduleTrigger"]
    assert (daily["schedule"], daily["timeZone"]) == ("0 5 * * *", "Etc/UTC")  # before the report
    audit = endpoints["auditLedgers"]["scheduleTrigger"]
    assert (audit["schedule"], audit["timeZone"]) == ("0 4 * * *", "Etc/UTC")
    assert min(trigger["retryConfig"]["retryCount"] for trigger in (schedule, daily, audit)) > 0


def test_instance_has_a_thread_for_each_concurrent_call(manifest: dict[str, Any]) -> None:
    [threads] = re.findall(r"^THREADS=(\d+)$", (FUNCTIONS / ".env").read_text("utf-8"), re.MULTILINE)
    for endpoint in manifest["endpoints"].values():
        assert endpoint["concurrency"] == int(threads)


def test_function_timeout_covers_slowest_generation_and_its_commits(manifest: dict[str, Any]) -> None:
    [generating] = [rule.le for rule in Model.model_fields["timeout_seconds"].metadata if hasattr(rule, "le")]
    receiving = SECONDS_MAX
    # The App Check token, and the ID token with the account.
    identifying = 2 * CHECK_SECONDS
    loading = LOAD_WAIT_SECONDS
    # The last try may begin just before the timeout. Reserving takes a read and a commit, settling two reads and a
    # commit.
    reserving = RESERVING_TIMEOUT_SECONDS + TURN_SECONDS_MAX + 2 * CALL_TIMEOUT_SECONDS
    settling = SETTLING_TIMEOUT_SECONDS + TURN_SECONDS_MAX + 3 * CALL_TIMEOUT_SECONDS
    timeout = manifest["endpoints"]["createGenerationRequest"]["timeoutSeconds"]
    # In mode async, the request is enqueued instead of generated and settled. In mode sync, its webhook is enqueued.
    generating += STORING_SECONDS
    assert timeout > receiving + identifying + loading + reserving + generating + settling + 2 * ENQUEUE_SECONDS


def test_function_timeout_covers_slowest_wait_for_a_request(manifest: dict[str, Any]) -> None:
    # The last read of a request may begin just before the wait ends.
    reserving = RESERVING_TIMEOUT_SECONDS + 2 * CALL_TIMEOUT_SECONDS
    waiting = WAIT_MAX + CALL_TIMEOUT_SECONDS
    slowest = SECONDS_MAX + 2 * CHECK_SECONDS + LOAD_WAIT_SECONDS + reserving + ENQUEUE_SECONDS + waiting
    assert manifest["endpoints"]["api"]["timeoutSeconds"] > slowest


def test_functions_for_which_a_user_waits_can_keep_instances(manifest: dict[str, Any]) -> None:
    kept = {name: endpoint["minInstances"] for name, endpoint in manifest["endpoints"].items()}
    assert {name for name, instances in kept.items() if instances is not None} == {"createGenerationRequest", "api"}
    assert set(filter(None, kept.values())) == {"{{ params.MIN_INSTANCES }}"}  # the CLI puts the value in at the deploy
    [parameter] = [parameter for parameter in manifest["params"] if parameter["name"] == "MIN_INSTANCES"]
    assert (parameter["type"], parameter["default"]) == ("int", 0)
    assert "MIN_INSTANCES=0\n" in (FUNCTIONS / ".env").read_text("utf-8")


def test_hosting_forwards_the_rest_api(manifest: dict[str, Any]) -> None:
    [rewrite] = Project.load(ROOT).config["hosting"]["rewrites"]
    function = rewrite["function"]
    assert rewrite["source"] == "/v1/**"
    assert all(route.path.startswith("/v1/") for route in ROUTES)
    assert manifest["endpoints"][function["functionId"]]["region"] == [function["region"]]
    assert not list((ROOT / "hosting").glob("v1*")), "a file would hide the API"


def test_function_timeout_covers_slowest_run_of_a_task(manifest: dict[str, Any]) -> None:
    # A worker reads the catalog and the request, claims the request, and generates and settles like a call.
    [generating] = [rule.le for rule in Model.model_fields["timeout_seconds"].metadata if hasattr(rule, "le")]
    claiming = CALL_TIMEOUT_SECONDS + RESERVING_TIMEOUT_SECONDS + 2 * CALL_TIMEOUT_SECONDS
    settling = SETTLING_TIMEOUT_SECONDS + TURN_SECONDS_MAX + 3 * CALL_TIMEOUT_SECONDS
    generating += STORING_SECONDS
    slowest = SECONDS_MAX + LOAD_WAIT_SECONDS + claiming + generating + settling + 2 * ENQUEUE_SECONDS
    for name in ("generateImage", "generateWithModelA", "generateWithModelB"):
        assert manifest["endpoints"][name]["timeoutSeconds"] > slowest
    assert manifest["endpoints"]["generateImage"]["timeoutSeconds"] == DISPATCH_SECONDS


def test_late_calls_are_at_most_half_of_an_instances_threads() -> None:
    [threads] = re.findall(r"^THREADS=(\d+)$", (FUNCTIONS / ".env").read_text("utf-8"), re.MULTILINE)
    assert int(threads) == 2 * LATE_CALLS_MAX


def test_queue_retries_a_task_for_as_long_as_its_request_may_wait(manifest: dict[str, Any]) -> None:
    [longest] = [rule.le for rule in Model.model_fields["max_queue_seconds"].metadata if hasattr(rule, "le")]
    for name in ("generateImage", "generateWithModelA", "generateWithModelB"):
        retries = manifest["endpoints"][name]["taskQueueTrigger"]["retryConfig"]
        assert retries["maxRetrySeconds"] >= longest


def test_sweep_ends_before_its_function_times_out(manifest: dict[str, Any]) -> None:
    # The last document may begin just before the end: the catalog, three reads and a commit, its last try, and a task.
    last = LOAD_WAIT_SECONDS + SWEEPING_TIMEOUT_SECONDS + TURN_SECONDS_MAX + 3 * CALL_TIMEOUT_SECONDS + ENQUEUE_SECONDS
    timeout = manifest["endpoints"]["sweepAbandonedRequests"]["timeoutSeconds"]
    assert timeout > SWEEP_SECONDS + last


def test_daily_audit_ends_before_its_function_times_out(manifest: dict[str, Any]) -> None:
    # The last user may begin just before the end. The last two reads may begin just before the user's time is over.
    last = CALL_TIMEOUT_SECONDS + USER_SECONDS + 2 * CALL_TIMEOUT_SECONDS + CALL_TIMEOUT_SECONDS
    assert manifest["endpoints"]["auditLedgers"]["timeoutSeconds"] > RUN_SECONDS + last


def test_request_lease_is_longer_than_its_call() -> None:
    # The last try may begin just before the timeout, as above.
    reserving = RESERVING_TIMEOUT_SECONDS + TURN_SECONDS_MAX + 2 * CALL_TIMEOUT_SECONDS
    settling = SETTLING_TIMEOUT_SECONDS + TURN_SECONDS_MAX + 3 * CALL_TIMEOUT_SECONDS
    assert LEASE_GRACE.total_seconds() > reserving + STORING_SECONDS + settling


def test_delivery_lease_is_longer_than_its_attempt() -> None:
    # Between the claim and the record, a worker reads the request, gets the secret (its timeout, then a read and a
    # commit), resolves the name (glibc tries two servers twice), sends the webhook, and tries once to record it.
    resolving = 20
    secret = RESERVING_TIMEOUT_SECONDS + 2 * CALL_TIMEOUT_SECONDS
    attempt = CALL_TIMEOUT_SECONDS + secret + resolving + TIMEOUT_SECONDS + 2 * CALL_TIMEOUT_SECONDS
    assert SENDING_LEASE.total_seconds() > attempt
    assert OVERDUE > SENDING_LEASE


def test_local_webhooks_are_allowed_only_in_the_demo_project(manifest: dict[str, Any]) -> None:
    [parameter] = [parameter for parameter in manifest["params"] if parameter["name"] == "ALLOW_LOCAL_WEBHOOKS"]
    assert parameter["default"] is False
    assert "ALLOW_LOCAL_WEBHOOKS=false\n" in (FUNCTIONS / ".env").read_text("utf-8")
    assert "ALLOW_LOCAL_WEBHOOKS=true\n" in (FUNCTIONS / ".env.demo-imagegen").read_text("utf-8")


def test_authentication_is_off_only_in_the_demo_project(manifest: dict[str, Any]) -> None:
    [parameter] = [parameter for parameter in manifest["params"] if parameter["name"] == "REQUIRE_AUTH"]
    assert parameter["default"] is True
    settings = {name: (FUNCTIONS / name).read_text("utf-8") for name in (".env", ".env.demo-imagegen")}
    assert "REQUIRE_AUTH=true\n" in settings[".env"]  # a deploy without a terminal cannot prompt for it
    assert "REQUIRE_AUTH=false\n" in settings[".env.demo-imagegen"]
    assert Project.load(ROOT).id == "demo-imagegen"


SECRETS: dict[str, tuple[str, dict[str, set[str]]]] = {
    "REPORT_WEBHOOK_URL": (
        "https://example.com/hook",
        {"REPORT_WEBHOOK_SECRET": {"scheduleWeeklyReport", "runWeeklyReport"}},
    ),
    "OPENAI_PROVIDER": (
        "on",
        {"OPENAI_API_KEY": {"createGenerationRequest", "generateImage", "generateWithModelA", "generateWithModelB"}},
    ),
    "PAYMENTS_ENABLED": (
        "true",
        {
            "STRIPE_SECRET_KEY": {
                "createPurchase",
                "reconcilePurchase",
                "getCatalog",
                "api",
                "stripeWebhook",
                "deleteAccount",
                "sweepAbandonedRequests",
            },
            "STRIPE_WEBHOOK_SECRET": {"stripeWebhook"},
        },
    ),
}
"""A value that switches a feature on, and the functions that read each of its secrets, by the feature's setting."""


DISCOVERY = """
import json, os, sys
from firebase_functions.private.serving import functions_as_yaml, get_functions

for switches in sys.stdin:
    if os.fork() == 0:
        os.environ.update(json.loads(switches))
        print(json.dumps(functions_as_yaml(get_functions())), flush=True)
        os._exit(0)
    if os.wait()[1]:
        print("null", flush=True)
"""
"""Prints the manifest for each line of switches, or null if the functions cannot be loaded.

The functions read their settings when they are imported. Therefore, each manifest has a process of its own, which has
already imported the package of Firebase.
"""

Discover = Callable[..., dict[str, Any] | None]


@pytest.fixture(scope="module")
def discovered() -> Iterator[Discover]:
    """Yield a function that returns the manifest that the CLI discovers, or None if the functions cannot be loaded.

    Its arguments are further lines of functions/.env.
    """
    lines = re.findall(r"^([A-Z_]+)=(.*)$", (FUNCTIONS / ".env").read_text("utf-8"), re.MULTILINE)
    inherited = {name: value for name, value in os.environ.items() if name not in SECRETS}
    with subprocess.Popen(
        [sys.executable, "-c", DISCOVERY],
        cwd=FUNCTIONS,
        env={**inherited, **dict(lines)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as discovery:

        def discovered(**switches: str) -> dict[str, Any] | None:
            assert discovery.stdin is not None
            assert discovery.stdout is not None
            print(json.dumps(switches), file=discovery.stdin, flush=True)
            manifest = json.loads(discovery.stdout.readline())
            return None if manifest is None else yaml.safe_load(manifest)

        yield discovered


def declared_secrets(manifest: Mapping[str, Any] | None) -> set[str]:
    assert manifest is not None
    return {param["name"] for param in manifest["params"] if param["type"] == "secret"}


def secrets_by_function(manifest: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """Return the secrets of each function that has any."""
    assert manifest is not None
    return {
        name: [variable["key"] for variable in variables]
        for name, endpoint in manifest["endpoints"].items()
        if (variables := endpoint.get("secretEnvironmentVariables"))
    }


@pytest.mark.parametrize("switches", [{}, dict.fromkeys(SECRETS, ""), dict.fromkeys(SECRETS, " ")], ids=str)
def test_without_features_a_deploy_needs_no_secret(discovered: Discover, switches: dict[str, str]) -> None:
    manifest = discovered(**switches)
    assert declared_secrets(manifest) == set()
    assert secrets_by_function(manifest) == {}


@pytest.mark.parametrize("switch", SECRETS)
def test_feature_binds_its_secret_to_the_functions_that_read_it(discovered: Discover, switch: str) -> None:
    value, secrets = SECRETS[switch]
    manifest = discovered(**{switch: value})
    assert declared_secrets(manifest) == secrets.keys()
    found = secrets_by_function(manifest)
    assert {secret: {name for name, bound in found.items() if secret in bound} for secret in secrets} == secrets


def test_secrets_of_an_emulated_service_are_not_declared(discovered: Discover) -> None:
    """The CLI would ask Secret Manager for them. A deployed project has no emulators."""
    emulated = {"PAYMENTS_ENABLED": "true", "STRIPE_API_URL": "http://127.0.0.1:12111"}
    assert declared_secrets(discovered(**emulated, FUNCTIONS_EMULATOR="true")) == set()
    assert declared_secrets(discovered(**emulated)) == {"STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"}


def test_switch_that_is_neither_on_nor_off_stops_the_deploy(discovered: Discover) -> None:
    assert declared_secrets(discovered(PAYMENTS_ENABLED="False")) == set()
    assert discovered(PAYMENTS_ENABLED="yes") is None


def test_every_secret_has_a_switch_in_this_test() -> None:
    secrets = [setting for setting in vars(settings).values() if isinstance(setting, settings.Secret)]
    assert {(secret.switch.name, secret.name) for secret in secrets} == {
        (switch, secret) for switch, (_, bound) in SECRETS.items() for secret in bound
    }


def test_only_settings_py_reads_the_environment() -> None:
    modules = [*(FUNCTIONS / "imagegen").rglob("*.py"), FUNCTIONS / "main.py"]
    readers = [path.name for path in modules if re.search(r"\bos\.environ\b|\bgetenv\b", path.read_text("utf-8"))]
    assert readers == ["settings.py"]


def test_every_dependency_of_the_functions_is_pinned() -> None:
    lines = (FUNCTIONS / "requirements.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if line and not line.lstrip().startswith("#")]
    assert all(re.match(r"^[a-z0-9._-]+==[^ ]+", pin) for pin in pins)


def test_cold_start_imports_few_modules() -> None:
    counted = subprocess.run(
        [FUNCTIONS / "venv" / "bin" / "python", "-W", "ignore", "-c", "import sys, main; print(len(sys.modules))"],
        cwd=FUNCTIONS,
        env={**os.environ, "GOOGLE_CLOUD_PROJECT": "demo-modules", "FUNCTION_TARGET": "createGenerationRequest"},
        capture_output=True,
        text=True,
        check=True,
    )
    count = int(counted.stdout)
    assert count <= MODULES_MAX, (
        f"`import main` loads {count} modules, and {MODULES_MAX} at most are allowed, because each cold start pays for "
        "all of them. `FUNCTION_TARGET=createGenerationRequest python -X importtime -c 'import main'` lists them. "
        "Import what only one function needs inside that function, as bootstrap.py does for the weekly report. If "
        "every function needs it, raise MODULES_MAX."
    )
