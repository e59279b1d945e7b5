"""The e-mail that tells a user that a queued request has ended, as a document for a program that sends it.

The fields are those that such programs share, for example Firebase's extension "Trigger Email".
"""

from datetime import timedelta

from imagegen.documents.fields import EXPIRE_AT
from imagegen.domain.generation import GenerationRequest, Status
from imagegen.ports.database import Put

KEPT = timedelta(days=30)
"""The time in which a program can send an e-mail. Later, its news is old."""

_SUBJECTS = {Status.COMPLETED: "Your image is ready", Status.FAILED: "Your image could not be made"}


def mail_path(collection: str, request_id: str, status: Status) -> str:
    return f"{collection}/{request_id}-{status}"


def mail_paths(collection: str, request_id: str) -> list[str]:
    """Return the paths of all e-mails that there can be about a request."""
    return [mail_path(collection, request_id, status) for status in _SUBJECTS]


def mail_for(request: GenerationRequest, collection: str, address: str) -> Put:
    """Return the write of the e-mail. It contains no prompt, because an e-mail may be read by others.

    The id is fixed, so one e-mail at most is sent for a request.
    """
    text = request.image_url if request.failure is None else f"{request.failure.message} You got your credits back."
    message = {"subject": _SUBJECTS[request.status], "text": f"{text}\n\nRequest {request.id}"}
    assert request.finished_at is not None, "only a request that has ended has an e-mail"
    data = {"to": address, "message": message, EXPIRE_AT: request.finished_at + KEPT}
    return Put(mail_path(collection, request.id, request.status), data)
