"""The least that could work, to compare with: the same round trips without validation, limits, catalog or recovery.

Do not make it faster. It takes the credits, records a request with all its options and a ledger entry, and completes
the request, with the SDK's callables and the client library's own conversion of documents.
"""

import os
import random
import time
import uuid
from datetime import UTC, datetime
from functools import cache
from typing import Any

import firebase_admin
from firebase_admin import functions
from firebase_functions.https_fn import CallableRequest, on_call
from google.api_core.exceptions import Aborted, FailedPrecondition
from google.cloud import firestore

firebase_admin.initialize_app()

PRICES = {"512x512": 1, "1024x1024": 3, "1024x1792": 4}
IMAGES = {
    "Model A": "/models/model-a.webp",
    "Model B": "/models/model-b.webp",
}


@cache
def client() -> firestore.Client:
    return firestore.Client(project=os.environ["GOOGLE_CLOUD_PROJECT"])


@on_call()
def createGenerationRequest(call: CallableRequest[Any]) -> dict[str, Any]:
    data, cost = call.data, PRICES[call.data["size"]]
    is_async = data.get("mode") == "async"
    request_id = uuid.uuid4().hex
    user = client().document(f"users/{data['userId']}")
    request = client().document(f"generationRequests/{request_id}")
    entry = user.collection("creditTransactions").document(f"{request_id}-deduction")
    for tries in range(20):
        found = {document.reference.path: document for document in client().get_all([user, request])}
        account, now = found[user.path], datetime.now(UTC)
        balance = account.get("credits") - cost
        batch = client().batch()
        batch.create(
            request,
            {
                "userId": data["userId"],
                "model": data["model"],
                "style": data["style"],
                "color": data["color"],
                "size": data["size"],
                "prompt": data["prompt"],
                "cost": cost,
                "status": "pending" if is_async else "processing",
                "createdAt": now,
            },
        )
        batch.update(user, {"credits": balance}, client().write_option(last_update_time=account.update_time))
        batch.create(
            entry,
            {
                "type": "deduction",
                "credits": cost,
                "balanceAfter": balance,
                "generationRequestId": request_id,
                "timestamp": now,
            },
        )
        try:
            written, *_ = batch.commit()
            break
        except (Aborted, FailedPrecondition):
            time.sleep(random.uniform(0, 0.02 * 2 ** min(tries, 5)))
    if is_async:
        functions.task_queue("generateImage").enqueue({"generationRequestId": request_id})
        return {"generationRequestId": request_id, "deductedCredits": cost, "status": "pending"}
    image = IMAGES[data["model"]]
    request.update(
        {"status": "completed", "imageUrl": image, "finishedAt": datetime.now(UTC)},
        client().write_option(last_update_time=written.update_time),
    )
    return {"generationRequestId": request_id, "deductedCredits": cost, "imageUrl": image}


@on_call()
def getUserCredits(call: CallableRequest[Any]) -> dict[str, Any]:
    user = client().document(f"users/{call.data['userId']}")
    newest = user.collection("creditTransactions").order_by("timestamp", direction="DESCENDING").limit(50)
    fields = ("type", "credits", "generationRequestId")
    entries = [(document.id, document.to_dict() or {}) for document in newest.stream()]
    transactions = [
        {"id": id, **{name: entry[name] for name in fields}, "timestamp": entry["timestamp"].isoformat()}
        for id, entry in entries
    ]
    return {"currentCredits": user.get().get("credits"), "transactions": transactions}
