"""Adds a deadline to an image generator."""

import threading
from concurrent.futures import Future, wait
from contextvars import copy_context

from imagegen.ports.image_generator import GeneratorTimedOut, ImageGenerator, Job


class WithDeadline:
    """Runs another generator with the model's ``timeout_seconds`` as its deadline.

    Python cannot stop a thread. After the deadline, the thread continues as a daemon and its result is discarded.
    """

    def __init__(self, generator: ImageGenerator) -> None:
        self._generator = generator
        self.check = generator.check

    def generate(self, job: Job) -> str:
        result: Future[str] = Future()

        def run() -> None:
            try:
                result.set_result(self._generator.generate(job))
            except BaseException as error:  # noqa: BLE001 - every exception is passed to the waiting caller
                result.set_exception(error)

        # Use the caller's context, so that log lines of the generator have the caller's fields.
        in_context = copy_context()
        threading.Thread(target=in_context.run, args=(run,), name=f"generate-{job.request_id}", daemon=True).start()
        wait([result], timeout=job.timeout_seconds)
        if not result.done():
            raise GeneratorTimedOut(f"{job.model} did not answer within {job.timeout_seconds:g} s.")
        return result.result()
