"""The protocol of a sampler: prompts in tokens go in; tokens, the reason of their end, and perhaps log-probabilities
come out.

Whoever draws the tokens, everything that is measured about them is computed by the local model, which reads them
(teacher forcing). So a sampler must give the exact tokens that the model wrote, in the local model's vocabulary.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from faithlens.errors import ModelError
from faithlens.execution.sample import Continuation, SampleRequest, Sampling, completes_text
from faithlens.model.model import Model
from faithlens.model.trace import Finish


@runtime_checkable
class Sampler(Protocol):
    """Continues prompts."""

    @property
    def name(self) -> str:
        """Its name, one of `choice.SAMPLERS`."""
        ...

    def sample(
        self,
        model: Model,
        prompts: Sequence[Sequence[int]],
        seeds: Sequence[int],
        sampling: Sampling = Sampling(),
        *,
        max_tokens: Sequence[int | None] | None = None,
        until: str | None = None,
        notify: Callable[[int], None] = lambda tokens: None,
    ) -> list[Continuation]:
        """Continue each prompt; the arguments are those of `faithlens.execution.sample.sample`."""
        ...

    def describe(self, model: Model) -> dict[str, str | float | None]:
        """What drew the tokens of `model`, for the manifest of a run."""
        ...


def refuse_structure(model: Model, sampler: str) -> None:
    """Raise ModelError for a model with forbidden attention edges, which only the own sampler knows."""
    if model.structure.forbidden:
        raise ModelError(
            f"{model.name} was trained without some attention edges, which the sampler {sampler!r} does not know",
            "Sample it with --sampler own.",
        )


def cut_tokens(
    model: Model,
    request: SampleRequest,
    ids: Sequence[int],
    until: str | None = None,
    logprobs: Sequence[float] | None = None,
    finish: Finish = "stop",
) -> Continuation:
    """A continuation that ends where the own sampler would end it.

    It ends before a token that ends the model's turn, after the one that completes the text `until`, or at the limit.

    Args:
        model: the model.
        request: the prompt, its seed and its limit.
        ids: the tokens that were written, perhaps with those after the end.
        until: a text that ends a sequence.
        logprobs: the log-probabilities of the tokens, in nats.
        finish: how the tokens ended if they end before all this.
    """
    written: list[int] = []
    for token in ids:
        if token in model.stop_ids:
            finish = "stop"
            break
        written.append(token)
        if until and completes_text(model, written, until):
            finish = "stop"
            break
        if len(written) == request.limit:
            finish = "length"
            break
    model.check_ids(written)
    has_logprobs = logprobs is not None and len(logprobs) >= len(written)
    known = tuple(logprobs[: len(written)]) if logprobs is not None and has_logprobs else None
    return Continuation(request.prompt, tuple(written), finish, request.seed, known)
