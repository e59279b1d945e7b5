"""Adds retries to an image generator."""

from typing import TYPE_CHECKING

from imagegen.ports.clock import Clock
from imagegen.ports.image_generator import GeneratorUnavailable, ImageGenerator, Job, Picture

if TYPE_CHECKING:
    from tenacity import RetryCallState


class WithRetries:
    """Retries another generator on GeneratorUnavailable: ``max_attempts`` attempts in all, with jittered delays.

    A delay is at least as long as the provider asks for.
    """

    def __init__(self, generator: ImageGenerator, clock: Clock) -> None:
        self._generator = generator
        self.check = generator.check
        self._clock = clock

    def generate(self, job: Job) -> Picture | str:
        if job.max_attempts == 1:
            return self._generator.generate(job)
        from tenacity import (
            Retrying,
            retry_if_exception_type,
            stop_after_attempt,
            stop_before_delay,
            wait_random_exponential,
        )

        jitter = wait_random_exponential(multiplier=0.5, max=10)

        def delay(state: "RetryCallState") -> float:
            """Return the seconds until the next attempt: a random delay, after the time that the provider asks for."""
            error = state.outcome.exception() if state.outcome else None
            return jitter(state) + (error.retry_after_seconds if isinstance(error, GeneratorUnavailable) else 0.0)

        attempts = Retrying(
            retry=retry_if_exception_type(GeneratorUnavailable),
            # After the deadline, the result would be discarded, but the provider would still charge for the attempt.
            stop=stop_after_attempt(job.max_attempts) | stop_before_delay(job.timeout_seconds),
            wait=delay,
            sleep=self._clock.sleep,
            reraise=True,
        )
        return attempts(self._generator.generate, job)
