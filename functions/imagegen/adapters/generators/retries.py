"""Adds retries to an image generator."""

from imagegen.ports.clock import Clock
from imagegen.ports.image_generator import GeneratorUnavailable, ImageGenerator, Job


class WithRetries:
    """Retries another generator on GeneratorUnavailable: ``max_attempts`` attempts in all, with jittered delays."""

    def __init__(self, generator: ImageGenerator, clock: Clock) -> None:
        self._generator = generator
        self.check = generator.check
        self._clock = clock

    def generate(self, job: Job) -> str:
        if job.max_attempts == 1:
            return self._generator.generate(job)
        from tenacity import (
            Retrying,
            retry_if_exception_type,
            stop_after_attempt,
            stop_after_delay,
            wait_random_exponential,
        )

        attempts = Retrying(
            retry=retry_if_exception_type(GeneratorUnavailable),
            # After the deadline, the result would be discarded, but the provider would still charge for the attempt.
            stop=stop_after_attempt(job.max_attempts) | stop_after_delay(job.timeout_seconds),
            wait=wait_random_exponential(multiplier=0.5, max=10),
            sleep=self._clock.sleep,
            reraise=True,
        )
        return attempts(self._generator.generate, job)
