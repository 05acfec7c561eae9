"""The options that a user gives for running a model. No torch is imported here, so that they are checked at once."""

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Literal, get_args

from faithlens.errors import ConfigError, check_choice, check_fields

if TYPE_CHECKING:
    from faithlens.model.model import Model

Backend = Literal["packed", "separate"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
"""The backends by name: see `execution.execute`."""
BackendChoice = Literal["auto", "packed", "separate"]
BACKEND_CHOICES: tuple[BackendChoice, ...] = get_args(BackendChoice)
"""What an audit may be asked for: a backend, or the one that `execution.execute.choose_backend` finds for the model."""
SamplerName = Literal["own", "continuous", "vllm", "openai"]
SAMPLERS: tuple[SamplerName, ...] = get_args(SamplerName)
"""The samplers by name: see `execution.samplers.choice`."""

CHAIN_TOKENS, THOUGHT_TOKENS = 1024, 8192
"""The most tokens of a chain of thought by default: of a model without thoughts of its own, and of one with them."""

_POSITIVE = "Pass a positive number of tokens."


@dataclass(frozen=True)
class Sampling:
    """How chains of thought are sampled.

    Attributes:
        max_new_tokens: the most tokens of a chain of thought; a longer one is cut off, with the finish "length". None
            chooses by model: see `find_limit`.
        temperature: 0 takes the most likely token (greedy).
        top_p: nucleus sampling: tokens are drawn from the smallest set that holds this much probability.

    Raises:
        ConfigError: a value outside of its range.
    """

    max_new_tokens: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        for name, condition, is_valid, fix in (
            ("max_new_tokens", "at least 1", self.max_new_tokens is None or self.max_new_tokens >= 1, _POSITIVE),
            ("temperature", ">= 0 (0 = greedy)", 0 <= self.temperature < inf, "Pass a non-negative temperature."),
            ("top_p", "in (0, 1]", 0 < self.top_p <= 1, "Pass 1 to sample from all tokens, or a smaller share."),
        ):
            if not is_valid:
                raise ConfigError(f"{name} must be {condition}, got {getattr(self, name)}", fix)

    def find_limit(self, model: "Model") -> int:
        """The most tokens of a chain of thought of this model.

        Where `max_new_tokens` is None, that is 1,024, or 8,192 for a model with thoughts of its own; a model with a
        short context gets half of what it reads, so that prompt, chain and answer fit.
        """
        if self.max_new_tokens is not None:
            return self.max_new_tokens
        return min(THOUGHT_TOKENS if model.thinking else CHAIN_TOKENS, model.context_length // 2)


def check_sampler_options(name: str, url: str | None) -> None:
    """Check that there is a sampler `name`, and that it has an address `url` if and only if it is a server.

    Raises:
        ConfigError: there is no such sampler, a server has no address, or another sampler has one.
    """
    check_choice(name, SAMPLERS, "sampler")
    if url is not None and name != "openai":
        raise ConfigError(
            f"an address of a server is given, but the sampler is {name!r}",
            "Add --sampler openai, or leave out --sampler-url.",
        )
    if url is None and name == "openai":
        raise ConfigError(
            "the sampler 'openai' needs the address of a server", "Add --sampler-url http://localhost:8000/v1."
        )
