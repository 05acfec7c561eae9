"""Who rewords steps if the task cannot: the model under test, another local model, or an OpenAI-style endpoint?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from faithlens.errors import ConfigError
from faithlens.execution.endpoint import Endpoint
from faithlens.execution.options import Sampling
from faithlens.execution.samplers.own import OWN
from faithlens.execution.samplers.sampler import Sampler
from faithlens.interventions.editor_names import EDITORS, check_editor
from faithlens.model.load import load
from faithlens.model.model import Model

_MAX_TOKENS = 60  # tokens of a reworded step, by default


@runtime_checkable
class Editor(Protocol):
    """Writes a text for each request."""

    @property
    def name(self) -> str:
        """The name that the log of edits shows."""
        ...

    def write(self, requests: Sequence[str], seeds: Sequence[int], max_tokens: int = _MAX_TOKENS) -> list[str]:
        """The text for each request, of at most `max_tokens` tokens; each has a seed of its own."""
        ...


@dataclass(frozen=True)
class ModelEditor:
    """A local model as an editor."""

    model: Model
    sampling: Sampling = Sampling()
    sampler: Sampler = OWN

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    def write(self, requests: Sequence[str], seeds: Sequence[int], max_tokens: int = _MAX_TOKENS) -> list[str]:
        """The model's reply to each request in its chat template; an empty text if the request exceeds its context."""
        prompts = [self.model.encode_prompt(self._ask(request)) for request in requests]
        fits = [i for i, prompt in enumerate(prompts) if len(prompt) + max_tokens <= self.model.context_length]
        sampling = Sampling(max_tokens, self.sampling.temperature, self.sampling.top_p)
        drawn = self.sampler.draw(self.model, [prompts[i] for i in fits], [seeds[i] for i in fits], sampling)
        answers = dict(zip(fits, (self.model.decode(each.ids) for each in drawn), strict=True))
        return [answers.get(i, "") for i in range(len(requests))]

    def _ask(self, request: str) -> str:
        """The prompt; a reasoning model's thoughts are closed, since they would use up the tokens of the text."""
        thinking = self.model.thinking
        return thinking.empty_thoughts(self.model.render, request) if thinking else self.model.render(request)


def load_editor(
    text: str, sampling: Sampling = Sampling(), *, device: str = "auto", dtype: str = "auto"
) -> tuple[Editor | None, bool]:
    """The editor that a text names: `editor` and `exact` of a `Setting`.

    Args:
        text: one of four forms. "task": the task writes what it can, and the model under test the rest. "subject": the
            model under test writes everything. "URL#MODEL": an OpenAI-style endpoint, whose key is read from the
            environment variable OPENAI_API_KEY. Anything else: a model, as `load` takes it.
        sampling: how the editor samples.
        device: the device of a model that is loaded as the editor.
        dtype: its number format.

    Raises:
        ConfigError: a misspelt name, an unusable address of an endpoint, or an unknown device or dtype.
        ModelError: there is no such model, or it cannot be loaded exactly.
    """
    if text in EDITORS:
        return None, text == "task"
    check_editor(text)
    return load_writer(text, sampling, device=device, dtype=dtype), False


def load_writer(
    text: str, sampling: Sampling, *, device: str = "auto", dtype: str = "auto"
) -> "Endpoint | ModelEditor":
    """The model that a text names, as URL#MODEL or as `load` takes it. Takes the arguments of `load_editor`.

    Raises:
        ConfigError: an unusable address of an endpoint, or an unknown device or dtype.
        ModelError: there is no such model, or it cannot be loaded exactly.
    """
    if not text.startswith(("http://", "https://")):
        return ModelEditor(load(text, device=device, dtype=dtype), sampling)
    url, _, model = text.partition("#")
    if not model:
        raise ConfigError(
            f"an endpoint must name a model after its address, got {text!r}",
            "Write it after a #: http://localhost:8000/v1#Qwen/Qwen2.5-7B-Instruct",
        )
    return Endpoint(url, model, sampling=sampling)
