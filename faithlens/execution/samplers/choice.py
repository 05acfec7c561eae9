"""The samplers by name."""

from faithlens.execution.options import check_sampler_options
from faithlens.execution.samplers.continuous import ContinuousSampler
from faithlens.execution.samplers.own import OWN
from faithlens.execution.samplers.sampler import Sampler
from faithlens.execution.samplers.server import ServerSampler
from faithlens.execution.samplers.vllm import VllmSampler


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
    check_sampler_options(name, url)
    if name == "continuous":
        return ContinuousSampler()
    if name == "vllm":
        return VllmSampler()
    if url is not None:
        return ServerSampler.at(url)
    return OWN
