"""Who rewords steps where the task cannot: the model under test, another local one, or any OpenAI-style endpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from faithlens.runtime.model import Lens
from faithlens.runtime.sample import Sampling, sample

_LONGEST = 60  # tokens of a reworded step, where nothing else is asked


@runtime_checkable
class Editor(Protocol):
    """Answers requests in words."""

    @property
    def name(self) -> str:
        """Who it is, for the log of edits."""
        ...

    def write(self, requests: Sequence[str], seeds: Sequence[int], most: int = _LONGEST) -> list[str]:
        """The answer to each request, at most `most` tokens long."""
        ...


@dataclass(frozen=True)
class LensEditor:
    """A local model as an editor."""

    lens: Lens
    sampling: Sampling = Sampling()

    @property
    def name(self) -> str:
        """The model's name."""
        return self.lens.name

    def write(self, requests: Sequence[str], seeds: Sequence[int], most: int = _LONGEST) -> list[str]:
        """The model's answer to each request, as its chat template puts it; none where it cannot read so much."""
        prompts = [self.lens.encode_prompt(self.lens.render(request)) for request in requests]
        fits = [i for i, prompt in enumerate(prompts) if len(prompt) + most <= self.lens.context]
        sampling = Sampling(most, self.sampling.temperature, self.sampling.top_p)
        drawn = sample(self.lens, [prompts[i] for i in fits], [seeds[i] for i in fits], sampling)
        answers = dict(zip(fits, (self.lens.decode(each.ids) for each in drawn), strict=True))
        return [answers.get(i, "") for i in range(len(requests))]
