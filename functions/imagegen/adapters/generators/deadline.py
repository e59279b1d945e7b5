"""Deadlines for generators that may not keep one themselves."""

import threading
from concurrent.futures import Future, wait
from contextvars import copy_context

from imagegen.ports.image_generator import GeneratorTimedOut, ImageGenerator, Job


class WithDeadline:
    """Waits for another generator no longer than the model's ``timeout_seconds``.

    Python cannot stop a thread: one that overstays is left behind as a daemon and its result is dropped.
    """

    def __init__(self, generator: ImageGenerator) -> None:
        self._generator = generator
        self.check = generator.check

    def generate(self, job: Job) -> str:
        result: Future[str] = Future()

        def run() -> None:
            try:
                result.set_result(self._generator.generate(job))
            except BaseException as error:  # noqa: BLE001 - handed to the waiting caller, whatever it is
                result.set_exception(error)

        # In the caller's context, so that whatever the generator logs is logged as in the caller's own thread.
        in_context = copy_context()
        threading.Thread(target=in_context.run, args=(run,), name=f"generate-{job.request_id}", daemon=True).start()
        wait([result], timeout=job.timeout_seconds)
        if not result.done():
            raise GeneratorTimedOut(f"{job.model} did not answer within {job.timeout_seconds:g} s.")
        return result.result()
