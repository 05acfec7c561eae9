"""Sampling by vLLM in this process (extra `vllm`). It loads the weights a second time, beside those that are measured.

Each prompt is given in tokens, with its own seed, and comes back in tokens.
"""

import math
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from faithlens.errors import ConfigError, ModelError, translate_errors
from faithlens.execution.options import Sampling
from faithlens.execution.sample import Continuation, SampleRequest
from faithlens.execution.samplers.sampler import Sampler, cut_tokens
from faithlens.model.model import Model

GPU_SHARE = 0.6  # of the free memory of the GPU, what vLLM may take; the rest is for the packed passes


class VllmSampler(Sampler):
    """vLLM in this process."""

    name = "vllm"

    def __init__(self) -> None:
        self._engines: dict[str, Any] = {}

    def _continue(
        self,
        model: Model,
        requests: list[SampleRequest],
        sampling: Sampling,
        until: str | None,
        notify: Callable[[int], None],
    ) -> list[Continuation]:
        library = import_vllm()
        with translate_errors(ModelError, f"vLLM cannot sample {model.name}", "Use --sampler own."):
            outputs = self._open(library, model).generate(
                [{"prompt_token_ids": list(one.prompt)} for one in requests],
                [
                    library.SamplingParams(
                        temperature=sampling.temperature,
                        top_p=sampling.top_p,
                        seed=one.seed,
                        max_tokens=one.limit,
                        stop_token_ids=sorted(model.stop_ids),
                        logprobs=0,
                    )
                    for one in requests
                ],
                use_tqdm=False,
            )
        written = [each.outputs[0] for each in outputs]
        drawn = [
            cut_tokens(model, one, list(each.token_ids), until, read_logprobs(each))
            for one, each in zip(requests, written, strict=True)
        ]
        notify(sum(len(each.ids) for each in drawn))
        return drawn

    def describe(self, model: Model) -> dict[str, str | float | None]:
        """Its name, and the version of vLLM."""
        try:
            return {"name": self.name, "version": version("vllm")}
        except PackageNotFoundError:
            return {"name": self.name, "version": None}

    def _open(self, library: Any, model: Model) -> Any:
        """The engine of a model, made once."""
        if not model.source:
            raise ModelError(
                f"{model.name} is only in memory, and vLLM reads models from a folder",
                "Save it and load it from its folder, or use --sampler own.",
            )
        if model.source not in self._engines:
            options: dict[str, Any] = {"model": model.source, "tokenizer": model.source, "dtype": model.dtype}
            if model.device.type == "cuda":
                free, total = torch.cuda.mem_get_info(model.device)
                options["gpu_memory_utilization"] = GPU_SHARE * free / total
            # by default, vLLM takes top_k and penalties from the model's generation settings
            self._engines[model.source] = library.LLM(generation_config="vllm", seed=0, **options)
        return self._engines[model.source]


def import_vllm() -> Any:
    """vLLM.

    Raises:
        ConfigError: it is not installed, or cannot be loaded here.
    """
    try:
        return import_module("vllm")
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"the sampler 'vllm' needs vLLM, which cannot be loaded: {error}",
            "Install it (Linux with a GPU): pip install 'faithlens[vllm]'. Elsewhere, use --sampler continuous, or"
            " --sampler openai with a server.",
        ) from error


def read_logprobs(completion: Any) -> list[float] | None:
    """The log-probability of each token, in nats; None if one is missing."""
    if completion.logprobs is None:
        return None
    pairs = zip(completion.token_ids, completion.logprobs, strict=False)
    values = [each[token].logprob if token in each else math.nan for token, each in pairs]
    return None if any(math.isnan(value) for value in values) else values
