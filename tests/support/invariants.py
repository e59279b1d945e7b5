"""The audit, for tests."""

from datetime import UTC, datetime

from google.cloud import firestore
from google.cloud.firestore import FieldFilter

from imagegen.adapters.firestore import FirestoreDatabase
from imagegen.documents.generations import REQUESTS
from imagegen.domain.generation import Status
from imagegen.services.credits.audit import Audit
from tools.fakes import ManualClock


def violations(client: firestore.Client, *, in_flight: int = 0) -> list[str]:
    """Return a message for each broken invariant. Exactly ``in_flight`` requests must still be processing."""
    before_any_lease = ManualClock(datetime(2000, 1, 1, tzinfo=UTC))
    found = [
        f"{finding.invariant.name}: {finding.message} {finding.documents}"
        for finding in Audit(FirestoreDatabase(client, timeout_seconds=60), before_any_lease).findings()
    ]
    is_processing = FieldFilter("status", "==", Status.PROCESSING.value)
    processing = len(client.collection(REQUESTS).where(filter=is_processing).get())
    if processing != in_flight:
        found.append(f"{processing} requests are still processing, not {in_flight}")
    return found
