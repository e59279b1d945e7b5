"""Runs a request, in a call or in a worker: generates the image without a lock, then settles the request."""

from collections.abc import Mapping

from imagegen import events
from imagegen.dataclass import dataclass
from imagegen.documents.generations import StoredRequest
from imagegen.domain.catalog import Model, Size
from imagegen.domain.generation import FailureReason, GenerationRequest, Status
from imagegen.domain.images import InvalidPicture
from imagegen.errors import ServiceUnavailable, SettlementPending, charge_of
from imagegen.events import Event, SafeText
from imagegen.ports.database import CommitRefused, DatabaseUnavailable, OutcomeUnknown
from imagegen.ports.image_generator import (
    GeneratorFailed,
    GeneratorMisconfigured,
    GeneratorRefused,
    GeneratorTimedOut,
    Job,
    Picture,
    ProtectedGenerator,
)
from imagegen.ports.object_store import ObjectStoreUnavailable
from imagegen.services.generations.settlement import Failed, Settlements, Succeeded
from imagegen.services.images.storage import Images


@dataclass(frozen=True)
class Execution:
    generators: Mapping[str, ProtectedGenerator]
    images: Images
    settlements: Settlements

    def check_provider(self, model: Model) -> None:
        """Raise ServiceUnavailable if the model's provider hangs. Call this before a request is charged or claimed."""
        if self.generators[model.provider].is_stuck:
            events.error(Event.PROVIDER_HANGS, provider=model.provider)
            raise ServiceUnavailable(f"{model.name} does not answer. Nothing was charged. Try again.")

    def run(self, stored: StoredRequest, model: Model, size: Size) -> StoredRequest:
        """Run the request and return it as settled, by this run or by another process that was first.

        Raises SettlementPending if the outcome could not be recorded.
        """
        return self.end(stored, self._generate(stored.request, model, size))

    def end(self, stored: StoredRequest, outcome: Succeeded | Failed) -> StoredRequest:
        """Settle a request whose run has ended with ``outcome``. Returns and raises as ``run`` does."""
        try:
            settled = self.settlements.settle(stored, outcome)
        except (CommitRefused, OutcomeUnknown, DatabaseUnavailable) as error:
            raise SettlementPending(
                "The outcome could not be recorded yet. Within ten minutes, the request is completed or refunded.",
                **charge_of(stored.request),
                deductedCredits=stored.request.cost,
            ) from error
        if settled.request.status is Status.CANCELED:
            self.settlements.end_canceled_run(settled)
        return settled

    def _generate(self, request: GenerationRequest, model: Model, size: Size) -> Succeeded | Failed:
        """Return the outcome. A crash of the provider is an outcome too, so that the request is always settled."""
        try:
            made = self.generators[model.provider].generate(_job(request, model, size))
            if not made:
                raise ValueError("the provider returned no image URL")  # noqa: TRY301 - handled like any crash of a provider
            return Succeeded(made) if isinstance(made, str) else self._stored(made, request, model, size)
        except GeneratorRefused as refusal:
            return Failed(FailureReason.CONTENT_REFUSED, str(refusal))
        except GeneratorMisconfigured as error:
            events.error(
                Event.PROVIDER_MISCONFIGURED,
                provider=model.provider,
                model=model.id,
                problem=error.problem,
                generationRequestId=request.id,
            )
            return Failed(FailureReason.MODEL_UNAVAILABLE, str(error))
        except GeneratorFailed as failure:
            return Failed(FailureReason.GENERATION_FAILED, str(failure))
        except GeneratorTimedOut as timeout:
            return Failed(FailureReason.GENERATION_TIMEOUT, str(timeout))
        except Exception:  # noqa: BLE001 - logged, and settled as a failure
            events.exception(Event.PROVIDER_CRASHED, generationRequestId=request.id, provider=model.provider)
            return Failed(FailureReason.GENERATION_FAILED, f"{model.name} could not generate this image.")

    def _stored(self, picture: Picture, request: GenerationRequest, model: Model, size: Size) -> Succeeded | Failed:
        """Store the picture, so that a completed request always has its files. Return the outcome."""
        try:
            image = self.images.keep(picture, request, size)
        except InvalidPicture as error:
            events.error(Event.PICTURE_INVALID, generationRequestId=request.id, problem=SafeText(error))
            return Failed(FailureReason.GENERATION_FAILED, f"{request.model} could not generate this image.")
        except ObjectStoreUnavailable as error:
            events.error(Event.IMAGE_NOT_STORED, generationRequestId=request.id, problem=SafeText(error))
            return Failed(FailureReason.IMAGE_NOT_STORED, "The image could not be stored.")
        events.info(
            Event.PICTURE_STORED,
            generationRequestId=request.id,
            model=model.id,
            provider=model.provider,
            providerId=picture.provider_id,
            costUsd=picture.cost_usd,
        )
        return Succeeded(image.main.url, image, picture.seed)


def _job(request: GenerationRequest, model: Model, size: Size) -> Job:
    return Job(
        request_id=request.id,
        model=model.name,
        provider_model=model.provider_model or model.name,
        provider_options=model.provider_options,
        prompt=request.prompt,
        provider_prompt=model.provider_prompt(request.prompt, request.style, request.color),
        input=request.input,
        style=request.style,
        color=request.color,
        size=size.name,
        width=size.width,
        height=size.height,
        timeout_seconds=model.timeout_seconds,
        max_attempts=model.max_attempts,
        seed=request.seed,
    )
