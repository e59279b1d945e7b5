"""Adds retries to an image generator."""

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from imagegen.ports.clock import Clock
from imagegen.ports.image_generator import GeneratorUnavailable, ImageGenerator, Job, Picture

_JITTER = wait_random_exponential(multiplier=0.5, max=10)


class WithRetries:
    """Retries another generator on GeneratorUnavailable: ``max_attempts`` attempts in all, with jittered delays.

    A delay is at least as long as the provider asks for.
    """

    def __init__(self, generator: ImageGenerator, clock: Clock) -> None:
        self._generator = generator
        self.check = generator.check
        self._clock = clock

    def generate(self, job: Job) -> Picture | str:
        attempts = Retrying(
            retry=retry_if_exception_type(GeneratorUnavailable),
            # After the deadline, the result would be discarded, but the provider would still charge for the attempt.
            stop=stop_after_attempt(job.max_attempts) | stop_before_delay(job.timeout_seconds),
            wait=_delay,
            sleep=self._clock.sleep,
            reraise=True,
        )
        return attempts(self._generator.generate, job)


def _delay(state: RetryCallState) -> float:
    """Return the seconds until the next attempt: a random delay, after the time that the provider asks for."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_seconds if isinstance(error, GeneratorUnavailable) else 0.0
    return asked + _JITTER(state)
