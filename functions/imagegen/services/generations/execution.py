"""Running a request: generate, holding nothing, then settle; whoever runs it, a call or a worker."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from imagegen.documents.generations import StoredRequest
from imagegen.domain.catalog import Model, Size
from imagegen.domain.generation import FailureReason, GenerationRequest
from imagegen.errors import SettlementPending
from imagegen.ports.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown
from imagegen.ports.image_generator import GeneratorFailed, GeneratorTimedOut, ImageGenerator, Job
from imagegen.services.generations.settlement import Failed, Settlements, Succeeded

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Execution:
    generators: Mapping[str, ImageGenerator]
    settlements: Settlements

    def run(self, stored: StoredRequest, model: Model, size: Size) -> GenerationRequest:
        """The request as it was settled, by this run or by whoever was first.

        Raises SettlementPending where the outcome could not be recorded.
        """
        outcome = self._generate(stored.request, model, size)
        try:
            return self.settlements.settle(stored, outcome)
        except (CommitRefused, OutcomeUnknown, DatabaseUnavailable) as error:
            raise SettlementPending(
                "The outcome could not be recorded yet. Within minutes the request has ended: completed, or refunded.",
                generationRequestId=stored.request.id,
                deductedCredits=stored.request.cost,
            ) from error

    def _generate(self, request: GenerationRequest, model: Model, size: Size) -> Succeeded | Failed:
        """Whatever a provider does, there is an outcome, so that the request gets settled."""
        try:
            url = self.generators[model.provider].generate(_job(request, model, size))
            if not url:
                raise ValueError("a provider answered without an image")  # noqa: TRY301 - one way for all its slips
            return Succeeded(url)
        except GeneratorFailed as failure:
            return Failed(FailureReason.GENERATION_FAILED, str(failure))
        except GeneratorTimedOut as timeout:
            return Failed(FailureReason.GENERATION_TIMEOUT, str(timeout))
        except Exception:
            log.exception("The generator of %s crashed on request %s", model.name, request.id)
            return Failed(FailureReason.GENERATION_FAILED, f"{model.name} could not generate this image.")


def _job(request: GenerationRequest, model: Model, size: Size) -> Job:
    return Job(
        request_id=request.id,
        model=model.name,
        provider_model=model.provider_model or model.name,
        provider_options=model.provider_options,
        prompt=request.prompt,
        input=request.input,
        style=request.style,
        color=request.color,
        size=size.name,
        width=size.width,
        height=size.height,
        timeout_seconds=model.timeout_seconds,
        max_attempts=model.max_attempts,
    )
