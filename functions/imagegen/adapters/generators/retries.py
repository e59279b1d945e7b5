"""More attempts for providers that fail now and then."""

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_after_delay, wait_random_exponential

from imagegen.ports.clock import Clock
from imagegen.ports.image_generator import GeneratorUnavailable, ImageGenerator, Job


class WithRetries:
    """Asks another generator again after a transient error: ``max_attempts`` times in all, with jittered pauses."""

    def __init__(self, generator: ImageGenerator, clock: Clock) -> None:
        self._generator = generator
        self.check = generator.check
        self._clock = clock

    def generate(self, job: Job) -> str:
        attempts = Retrying(
            retry=retry_if_exception_type(GeneratorUnavailable),
            # Past the deadline nobody waits any more: an attempt would cost the provider's price for nothing.
            stop=stop_after_attempt(job.max_attempts) | stop_after_delay(job.timeout_seconds),
            wait=wait_random_exponential(multiplier=0.5, max=10),
            sleep=self._clock.sleep,
            reraise=True,
        )
        return attempts(self._generator.generate, job)
