"""Classifies every collection: its data of users, their export, and what a deletion does to them.

The tables in ``docs/operating.md`` are generated from this module.
"""

from enum import StrEnum

from imagegen.dataclass import dataclass
from imagegen.documents import account_data
from imagegen.documents.accounts import GRANTS, LEDGER, TRIAL_CLAIMS, USERS
from imagegen.documents.api_keys import API_KEYS, KEY_RINGS
from imagegen.documents.audits import AUDITS
from imagegen.documents.catalog_changes import CATALOG_CHANGES
from imagegen.documents.generations import REQUESTS
from imagegen.documents.purchases import PURCHASES
from imagegen.documents.receivers import RECEIVERS, SENDING
from imagegen.documents.secrets import WEBHOOK_SECRETS
from imagegen.documents.webhooks import DELIVERIES

MAIL = "{MAIL_COLLECTION}"
"""The collection for e-mails, whose name is a parameter."""


class Found(StrEnum):
    """The way to find the documents of a user in a collection."""

    BY_ID = "its id is the user's id"
    BY_FIELD = "its `userId` is the user's id"
    BELOW = "it is below the user's document"
    BY_REQUEST = "its id starts with the id of a request of the user"
    NOWHERE = "it is not looked for"


class Deletion(StrEnum):
    """The fate of a collection's documents when an account is deleted."""

    DELETED = "deleted"
    ERASED = "kept without the personal parts"
    KEPT = "kept"


@dataclass(frozen=True)
class UserData:
    """A collection with data of users. ``why`` gives the reason for what happens to it.

    ``export`` is False if its documents are not exported. ``withheld`` are fields that an export leaves out, and
    ``withholds_id`` is True if it leaves out the id too.
    """

    name: str
    found: Found
    deletion: Deletion
    why: str
    export: bool = True
    withheld: tuple[str, ...] = ()
    withholds_id: bool = False


USER_DATA = (
    UserData(
        USERS,
        Found.BY_ID,
        Deletion.ERASED,
        "The balance, the head of the ledger, the lifetime totals and the weekly counters stay, because the audit and "
        "the weekly report compare them with the ledger. An old webhook secret is not exported.",
        withheld=("webhookSecret",),
    ),
    UserData(
        LEDGER,
        Found.BELOW,
        Deletion.ERASED,
        "The ledger is the proof of each credit, and its hashes cover each entry. Only the free text of old entries "
        "goes, which no hash covers.",
    ),
    UserData(
        REQUESTS,
        Found.BY_FIELD,
        Deletion.ERASED,
        "The cost, options, times and status stay, because each deduction belongs to a request. Prompts, inputs, "
        "pictures, URLs and hashes of them go.",
        withheld=("execution", "worker"),
    ),
    UserData(DELIVERIES, Found.BY_FIELD, Deletion.DELETED, "Nothing else needs a delivery.", withheld=("worker",)),
    UserData(RECEIVERS, Found.BY_FIELD, Deletion.DELETED, "Webhook endpoints, and the state of other receivers."),
    UserData(SENDING, Found.BY_ID, Deletion.DELETED, "The limits of a user's webhooks."),
    UserData(
        WEBHOOK_SECRETS,
        Found.BY_ID,
        Deletion.DELETED,
        "It holds only secrets, which `getWebhookSecret` returns. An export holds none.",
        export=False,
    ),
    UserData(
        API_KEYS,
        Found.BY_FIELD,
        Deletion.DELETED,
        "The id is a hash of the key, and is not exported.",
        withholds_id=True,
    ),
    UserData(
        KEY_RINGS,
        Found.BY_ID,
        Deletion.DELETED,
        "It lists the hashes of keys, which are not exported.",
        withheld=("active",),
    ),
    UserData(
        GRANTS,
        Found.BY_FIELD,
        Deletion.ERASED,
        "A grant proves its ledger entry. Its reason goes, which is free text. The admin and the API key that made it "
        "are not exported, because they are not the user's.",
        withheld=("apiKeyId", "grantedBy"),
    ),
    UserData(
        TRIAL_CLAIMS,
        Found.BY_FIELD,
        Deletion.KEPT,
        "Without it, each deletion would bring the same person new trial credits. Its id is a keyed hash of the "
        "person, which shows no address, and is not exported.",
        withholds_id=True,
    ),
    UserData(
        PURCHASES,
        Found.BY_FIELD,
        Deletion.ERASED,
        "A purchase proves a payment and its ledger entries, which refunds and disputes can still change. The page to "
        "which the buyer returned goes. Stripe has it, and the buyer's name and address.",
    ),
    UserData(
        MAIL,
        Found.BY_REQUEST,
        Deletion.DELETED,
        "The e-mails about queued requests. The program that sends them may keep copies.",
    ),
    UserData(
        account_data.EXPORTS,
        Found.BY_ID,
        Deletion.DELETED,
        "The state of the last export, with the token of its files.",
        export=False,
    ),
    UserData(
        account_data.DELETIONS,
        Found.BY_ID,
        Deletion.KEPT,
        "The proof of the deletion: who asked for it, and when it ended. It exists only after an account was closed.",
        export=False,
    ),
    UserData(
        CATALOG_CHANGES,
        Found.NOWHERE,
        Deletion.KEPT,
        "A change of the catalog names the admin who made it.",
        export=False,
    ),
    UserData(
        "weeklyReports",
        Found.NOWHERE,
        Deletion.KEPT,
        "Reports name the ids of the biggest users and of users with unusual activity. The numbers are those of the "
        "user's weekly counters, which are exported.",
        export=False,
    ),
    UserData(
        AUDITS,
        Found.NOWHERE,
        Deletion.KEPT,
        "The latest audit names the ids of users with findings, and of those that it could not check. The next audit "
        "replaces it.",
        export=False,
    ),
)

EXPORTED = tuple(data for data in USER_DATA if data.export)
"""The collections that are exported, in the order of the lines of an export."""

NO_USER_DATA = {
    **dict.fromkeys(("models", "styles", "colors", "sizes"), "The catalog."),
    "packages": "The packages on sale.",
    "serverKeys": "Keys of the server.",
    "dailyUsage": "Sums of all users.",
}
"""The other collections, and why they hold no data of users."""
