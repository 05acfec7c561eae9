"""The plain batched sampling of faithlens as a sampler."""

from collections.abc import Callable, Sequence

import transformers

from faithlens.execution.sample import Continuation, Sampling, sample
from faithlens.model.model import Model


class OwnSampler:
    """The plain batched sampling of faithlens, whose draws depend on the seed of a prompt alone."""

    name = "own"

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
        """Continue each prompt; see `faithlens.execution.sample.sample`."""
        return sample(model, prompts, seeds, sampling, max_tokens=max_tokens, until=until, notify=notify)

    def describe(self, model: Model) -> dict[str, str | float | None]:
        """Its name, and the version of transformers."""
        return {"name": self.name, "version": transformers.__version__}


OWN = OwnSampler()
