"""The plain batched sampling of faithlens as a sampler."""

from collections.abc import Callable

import transformers

from faithlens.execution.options import Sampling
from faithlens.execution.sample import Continuation, SampleRequest, continue_requests
from faithlens.execution.samplers.sampler import Sampler
from faithlens.model.model import Model


class OwnSampler(Sampler):
    """The plain batched sampling of faithlens, whose draws depend on the seed of a prompt alone."""

    name = "own"
    keeps_structure = True

    def _continue(
        self,
        model: Model,
        requests: list[SampleRequest],
        sampling: Sampling,
        until: str | None,
        notify: Callable[[int], None],
    ) -> list[Continuation]:
        return continue_requests(model, requests, sampling, until, notify=notify)

    def describe(self, model: Model) -> dict[str, str | float | None]:
        """Its name, and the version of transformers."""
        return {"name": self.name, "version": transformers.__version__}


OWN = OwnSampler()
