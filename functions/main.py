"""The surface: every function that is deployed, a line or two each. What they do is in ``imagegen``."""

from typing import Any

import firebase_admin
from firebase_functions.https_fn import CallableRequest
from firebase_functions.options import MemoryOption, set_global_options
from firebase_functions.scheduler_fn import ScheduledEvent

from imagegen.bootstrap import backend
from imagegen.entry import auth, schemas
from imagegen.entry.callables import callable_function, scheduled_function

# concurrency: as many calls as .env gives an instance threads for (THREADS); more would queue unseen.
# timeout_sec: a generation may take a model's whole 60 s, and each commit around it has 20 s of retries.
set_global_options(
    region="us-central1", memory=MemoryOption.MB_512, cpu=1, concurrency=16, max_instances=20, timeout_sec=120
)
firebase_admin.initialize_app()


@callable_function()
def createGenerationRequest(call: CallableRequest[Any]) -> dict[str, Any]:
    auth.require_caller(call)
    wish = schemas.parse(schemas.CreateGenerationRequest, call.data, backend().catalogs.current())
    auth.require_owner(call, wish.user_id)
    return schemas.CreatedGenerationRequest.of(backend().generations.create(wish.order())).wire()


@callable_function()
def getUserCredits(call: CallableRequest[Any]) -> dict[str, Any]:
    auth.require_caller(call)
    wish = schemas.parse(schemas.GetUserCredits, call.data)
    auth.require_owner(call, wish.user_id)
    page = backend().histories.page(wish.user_id, wish.page_size, wish.before_seq)
    return schemas.UserCredits.of(page).wire()


@scheduled_function(schedule="0 6 * * 1", timezone="Etc/UTC", timeout_sec=540, retry_count=3, min_backoff_seconds=60)
def scheduleWeeklyReport(event: ScheduledEvent) -> dict[str, Any]:
    backend().reports.write(event.schedule_time)
    return {"reportStatus": "success"}
