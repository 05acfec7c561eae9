"""The base class of samplers: prompts in tokens go in; tokens, the reason of their end, and perhaps log-probabilities
come out.

Whoever draws the tokens, everything that is measured about them is computed by the local model, which reads them
(teacher forcing). So a sampler must give the exact tokens that the model wrote, in the local model's vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from faithlens.errors import ModelError
from faithlens.execution.options import Sampling
from faithlens.execution.sample import Continuation, SampleRequest, completes_text, make_requests
from faithlens.model.model import Model
from faithlens.model.trace import Finish


class Sampler(ABC):
    """Continues prompts. A sampler says in `_continue` how, and in `describe` with what.

    Attributes:
        name: its name, one of `choice.SAMPLERS`.
        keeps_structure: whether it leaves out the attention edges that a model was trained without.
    """

    name: ClassVar[str]
    keeps_structure: ClassVar[bool] = False

    def draw(
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
        """Continue each prompt; results have the order of the prompts.

        Args:
            model: the local model, which reads what was written.
            prompts: the tokens of each prompt.
            seeds: one seed for each prompt.
            sampling: how tokens are drawn.
            max_tokens: for each prompt, a limit below `sampling.max_new_tokens`, or None.
            until: a text that ends a sequence.
            notify: called with the number of tokens that were drawn, each time some were.

        Raises:
            ConfigError: the library of the sampler is not installed.
            PlanError: a prompt leaves no room in the model's context.
            ModelError: a token is not in the model's vocabulary; the sampler cannot run the model, has another one, or
                does not leave out the attention edges that it was trained without; or a request failed in all tries.
        """
        if model.structure.forbidden and not self.keeps_structure:
            raise ModelError(
                f"{model.name} was trained without some attention edges, which the sampler {self.name!r} does not know",
                "Sample it with --sampler own.",
            )
        requests = make_requests(model, prompts, seeds, sampling, max_tokens)
        return self._continue(model, requests, sampling, until, notify) if requests else []

    @abstractmethod
    def _continue(
        self,
        model: Model,
        requests: list[SampleRequest],
        sampling: Sampling,
        until: str | None,
        notify: Callable[[int], None],
    ) -> list[Continuation]:
        """Continue the prompts of `requests`, at least one, in their order."""

    @abstractmethod
    def describe(self, model: Model) -> dict[str, str | float | None]:
        """What drew the tokens of `model`, for the manifest of a run."""


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
