"""Sampling by transformers' continuous batching (`generate_batch`): a sequence that ends makes room for the next.

Its tokens come from one random generator for all sequences, so a draw depends on what else is drawn; with the same
prompts in the same order it repeats. Greedy sampling needs no generator.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import torch
import transformers
from transformers import ContinuousBatchingConfig, GenerationConfig

from faithlens.errors import ModelError, translate_errors
from faithlens.execution.options import Sampling
from faithlens.execution.sample import Continuation, SampleRequest
from faithlens.execution.samplers.sampler import Sampler, cut_tokens
from faithlens.model.model import Model

PAGE_SIZE = 32  # tokens of a page of keys and values; a sequence fills its last page in part
MOST_CPU_TOKENS = 2048  # tokens of a step on a CPU, where transformers cannot infer the number from a GPU's memory


class ContinuousSampler(Sampler):
    """The continuous batching of transformers."""

    name = "continuous"

    def _continue(
        self,
        model: Model,
        requests: list[SampleRequest],
        sampling: Sampling,
        until: str | None,
        notify: Callable[[int], None],
    ) -> list[Continuation]:
        out: dict[int, Continuation] = {}
        for limit in dict.fromkeys(one.limit for one in requests):  # each call of transformers has one limit
            some = [i for i, one in enumerate(requests) if one.limit == limit]
            drawn = draw_together(model, [requests[i] for i in some], sampling, until)
            out |= dict(zip(some, drawn, strict=True))
            notify(sum(len(each.ids) for each in drawn))
        return [out[i] for i in range(len(requests))]

    def describe(self, model: Model) -> dict[str, str | float | None]:
        """Its name, and the version of transformers."""
        return {"name": self.name, "version": transformers.__version__}


def draw_together(
    model: Model, requests: Sequence[SampleRequest], sampling: Sampling, until: str | None
) -> list[Continuation]:
    """Continue prompts of one limit."""
    settings = GenerationConfig(
        max_new_tokens=requests[0].limit,
        eos_token_id=sorted(model.stop_ids) or -1,
        **make_draw_settings(sampling),
    )
    problem = f"transformers cannot sample {model.name} by continuous batching"
    devices = [model.device] if model.device.type == "cuda" else []
    fix = "Use --sampler own, which runs every model."
    generator: Any = model.hf_model
    with translate_errors(ModelError, problem, fix), torch.random.fork_rng(devices):
        results = generator.generate_batch(
            [list(one.prompt) for one in requests],
            generation_config=settings,
            continuous_batching_config=make_batching(model, requests),
            progress_bar=False,
        )
    written = list(results.values())
    reason = next((each.error for each in written if each.error is not None), None)
    if reason is not None or len(written) < len(requests):
        reason = reason or f"it answered {len(written)} of {len(requests)} prompts"
        raise ModelError(f"{problem}: {reason}", fix)
    pairs = zip(requests, written, strict=True)
    return [cut_tokens(model, one, each.generated_tokens, until) for one, each in pairs]


def make_draw_settings(sampling: Sampling) -> dict[str, Any]:
    """How transformers draws tokens, with nothing taken from the model's own generation settings."""
    if sampling.temperature == 0:
        return {"do_sample": False}
    return {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}


def make_batching(model: Model, requests: Sequence[SampleRequest]) -> ContinuousBatchingConfig:
    """The settings of the batching. On a GPU, transformers plans its memory; on a CPU there is a page for each token.

    The attention implementation of the model stays: another one gives other numbers.
    """
    together = ",".join(str(one.seed) for one in requests)
    settings: dict[str, Any] = {
        "auto_switch_to_flash": False,
        "seed": int(sha256(together.encode()).hexdigest()[:8], 16),
        "use_cuda_graph": False,
    }
    if model.device.type == "cpu":
        pages = sum(-(-(len(one.prompt) + one.limit) // PAGE_SIZE) + 1 for one in requests)
        settings |= {"page_size": PAGE_SIZE, "num_blocks": pages, "max_batch_tokens": MOST_CPU_TOKENS}
    return ContinuousBatchingConfig(**settings)
