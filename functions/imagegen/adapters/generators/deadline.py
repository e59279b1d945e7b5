"""Adds a deadline to an image generator."""

from imagegen.deadlines import DeadlineExceeded, Deadlines
from imagegen.ports.image_generator import GeneratorTimedOut, ImageGenerator, Job, Picture


class WithDeadline:
    """Runs another generator with the model's ``timeout_seconds`` as its deadline.

    It is stuck while too many of its calls have not ended after their deadline.
    """

    def __init__(self, generator: ImageGenerator) -> None:
        self._generator = generator
        self._deadlines = Deadlines()
        self.check = generator.check

    @property
    def is_stuck(self) -> bool:
        return self._deadlines.is_full

    def generate(self, job: Job) -> Picture | str:
        try:
            return self._deadlines.run(lambda: self._generator.generate(job), job.timeout_seconds)
        except DeadlineExceeded:
            raise GeneratorTimedOut(f"{job.model} did not answer within {job.timeout_seconds:g} s.") from None
