"""Who rewords steps where the task cannot: the model under test, another local one, or any OpenAI-style endpoint."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from faithlens.errors import ConfigError
from faithlens.execution.endpoint import Endpoint
from faithlens.execution.sample import Sampling, sample
from faithlens.model.load import load
from faithlens.model.model import Model

_MAX_TOKENS = 60  # tokens of a reworded step, where nothing else is asked


@runtime_checkable
class Editor(Protocol):
    """Answers requests in words."""

    @property
    def name(self) -> str:
        """Who it is, for the log of edits."""
        ...

    def write(self, requests: Sequence[str], seeds: Sequence[int], max_tokens: int = _MAX_TOKENS) -> list[str]:
        """The answer to each request, at most `max_tokens` tokens long."""
        ...


@dataclass(frozen=True)
class ModelEditor:
    """A local model as an editor."""

    model: Model
    sampling: Sampling = Sampling()

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    def write(self, requests: Sequence[str], seeds: Sequence[int], max_tokens: int = _MAX_TOKENS) -> list[str]:
        """The model's answer to each request, as its chat template puts it; none where it cannot read so much."""
        prompts = [self.model.encode_prompt(self.model.render(request)) for request in requests]
        fits = [i for i, prompt in enumerate(prompts) if len(prompt) + max_tokens <= self.model.context_length]
        sampling = Sampling(max_tokens, self.sampling.temperature, self.sampling.top_p)
        drawn = sample(self.model, [prompts[i] for i in fits], [seeds[i] for i in fits], sampling)
        answers = dict(zip(fits, (self.model.decode(each.ids) for each in drawn), strict=True))
        return [answers.get(i, "") for i in range(len(requests))]


def load_editor(
    text: str, sampling: Sampling = Sampling(), *, device: str = "auto", dtype: str = "float32"
) -> tuple[Editor | None, bool]:
    """Who makes mistakes and rewords steps: `editor` and `exact` of a `Setting`.

    Args:
        text: "task" for what the task can write, which knows its values and perhaps other words, and the rest by the
            model under test; "subject" for all by the model under test; "URL#MODEL" for an OpenAI-style endpoint, whose
            key is read from the environment variable OPENAI_API_KEY; else a model, as `load` takes it.
        sampling: how the editor's words are drawn.
        device, dtype: of a model that is loaded for this.

    Raises:
        ConfigError: an endpoint without a model, or at no usable address.
        ModelError: no such model, or one that cannot be loaded exactly.
    """
    if text in ("task", "subject"):
        return None, text == "task"
    if text.startswith(("http://", "https://")):
        url, _, model = text.partition("#")
        if not model:
            do = "name the model after a #: http://localhost:8000/v1#Qwen/Qwen2.5-7B-Instruct"
            raise ConfigError(f"the editor {url}", "an address without a model", do)
        return Endpoint(url, model, sampling=sampling), False
    return ModelEditor(load(text, device=device, dtype=dtype), sampling), False
