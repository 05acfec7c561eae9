"""The samplers by name."""

from typing import Literal, get_args

from faithlens.errors import ConfigError, check_choice
from faithlens.execution.samplers.continuous import ContinuousSampler
from faithlens.execution.samplers.own import OWN
from faithlens.execution.samplers.sampler import Sampler
from faithlens.execution.samplers.server import ServerSampler
from faithlens.execution.samplers.vllm import VllmSampler

SamplerName = Literal["own", "continuous", "vllm", "openai"]
SAMPLERS: tuple[SamplerName, ...] = get_args(SamplerName)


def make_sampler(name: str = "own", url: str | None = None) -> Sampler:
    """The sampler that `name` and `url` name. Nothing is loaded and no server is called.

    Args:
        name: one of `SAMPLERS`: "own"; "continuous", the continuous batching of transformers; "vllm"; or "openai", an
            OpenAI-compatible server.
        url: the address of the server, as "http://localhost:8000/v1" or "http://localhost:8000/v1#NAME", where NAME is
            the name of the model at this server.

    Raises:
        ConfigError: there is no such sampler, a server has no usable address, or another sampler has an address.
    """
    check_choice(name, SAMPLERS, "sampler")
    if url is not None and name != "openai":
        raise ConfigError(
            f"an address of a server is given, but the sampler is {name!r}",
            "Add --sampler openai, or leave out --sampler-url.",
        )
    if name == "continuous":
        return ContinuousSampler()
    if name == "vllm":
        return VllmSampler()
    if name == "openai":
        if url is None:
            raise ConfigError(
                "the sampler 'openai' needs the address of a server", "Add --sampler-url http://localhost:8000/v1."
            )
        return ServerSampler.at(url)
    return OWN
