"""A truncation sweep with pooled attention: the packed pass against loops that do the same.

A trace is cut short at every step, from all steps down to none. Each cut is answered: the log-probabilities of 4
options, and the attention of the answer row to every piece, in all layers and heads.
"""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from faithlens.commands.bench.harness import (
    Agreement,
    BenchResult,
    TimeRatio,
    check_agreements,
    describe_setting,
    divide_rounds,
    race_rivals,
)
from faithlens.commands.bench.traces import make_full_trace, make_truncations
from faithlens.commands.doctor import measure_drift
from faithlens.commands.gaps import SLACK, rms
from faithlens.execution.execute import execute
from faithlens.execution.plain import answer_plainly
from faithlens.model.model import Model
from faithlens.plan.capture import Capture
from faithlens.plan.condition import Condition
from faithlens.plan.memory import plan_passes

PROMPT, STEPS, STEP = 120, 12, 20  # tokens of the prompt, steps, tokens a step
LONG = 157, 48, 25
OURS, LOOP = "faithlens, packed", "TransformerLens loop"
KEPT, PLAIN = "TransformerLens loop, keys and values kept", "transformers loop, no attention"
ONCE = "transformers, full trace once"

SweepOutcome = tuple[list[Tensor], list[Tensor]]
"""For each cut, the log-probabilities [option] and the attention [layer, head, span]."""


def measure(model: Model, repeats: int, long: bool = False) -> BenchResult:
    """Time the sweep; the long one has 49 cuts of up to 1,360 tokens.

    Raises:
        BenchmarkError: the rivals' numbers differ.
    """
    around = describe_setting(model)
    cuts = make_truncations(make_full_trace(model, *(LONG if long else (PROMPT, STEPS, STEP))))
    agreements = check_agreements(measure_agreement(model, cuts))
    times = race_rivals(list_rivals(model, cuts), repeats, warm_up=0)  # the check has warmed everything up
    return BenchResult(
        subject="sweep-long" if long else "sweep",
        work=f"{plan_passes(model, cuts).describe()}; the longest has {len(cuts[0].ids)}",
        **around,
        agreements=agreements,
        seconds=times,
        comparisons=[
            TimeRatio(f"{LOOP} / {OURS}", divide_rounds(times[LOOP], times[OURS])),
            TimeRatio(f"{KEPT} / {OURS}", divide_rounds(times[KEPT], times[OURS])),
        ],
        peak_mib={},
    )


def list_rivals(model: Model, cuts: Sequence[Condition]) -> dict[str, Callable[[], object]]:
    """The implementations that are timed. The last two give less: no attention, and one condition only."""
    return {
        OURS: lambda: run_packed(model, cuts),
        LOOP: lambda: run_transformer_lens(model, cuts),
        KEPT: lambda: run_with_kept_cache(model, cuts),
        PLAIN: lambda: [answer_plainly(model, cut) for cut in cuts],
        ONCE: lambda: answer_plainly(model, cuts[0]),
    }


def measure_agreement(model: Model, cuts: Sequence[Condition]) -> list[Agreement]:
    """How far each rival is from plain transformers, and from the attention that TransformerLens forms in full."""
    drift, plain = measure_drift(model, [cuts[0], cuts[-1]])
    loop, ours, cached = run_transformer_lens(model, cuts), run_packed(model, cuts), run_with_kept_cache(model, cuts)
    return [
        Agreement(f"answers of the {LOOP}", rms([loop[0][0], loop[0][-1]], plain), SLACK * drift),
        Agreement(f"answers of {OURS}", rms(ours[0], loop[0]), SLACK * drift),
        Agreement(f"attention of {OURS}", rms(ours[1], loop[1]), SLACK * drift),
        Agreement(f"answers of the {KEPT}", rms(cached[0], loop[0]), SLACK * drift),
        Agreement(f"attention of the {KEPT}", rms(cached[1], loop[1]), SLACK * drift),
    ]


def run_packed(model: Model, cuts: Sequence[Condition]) -> SweepOutcome:
    """faithlens: plan and run."""
    plan = plan_passes(model, cuts)
    records = execute(model, plan, Capture(attention=("answer",)))
    return [r.logprobs for r in records], [r.attention["answer"] for r in records]


@torch.inference_mode()
def run_transformer_lens(model: Model, cuts: Sequence[Condition]) -> SweepOutcome:
    """TransformerLens as its documentation teaches: `run_with_cache` of the patterns, then pooling what was cached."""
    logprobs, attention = [], []
    for cut in cuts:
        tokens = torch.tensor([cut.ids], device=model.device)
        logits, cache = model.bridge.run_with_cache(
            tokens, names_filter=lambda name: name.endswith("attn.hook_pattern")
        )
        logprobs.append(logits[0, -1].float().log_softmax(-1)[[option[0] for option in cut.options]].cpu())
        attention.append(pool_attention(model, cut, cache))
    return logprobs, attention


@torch.inference_mode()
def run_with_kept_cache(model: Model, cuts: Sequence[Condition]) -> SweepOutcome:
    """TransformerLens by hand, the fast way: keys and values are kept from cut to cut, only new tokens are run."""
    bridge, cache = model.bridge, DynamicCache()
    logprobs, attention = [], []
    for cut in reversed(cuts):  # from the empty chain of thought up, one piece more each time
        *body, stem = cut.pieces
        new = torch.tensor([body[-1].ids], device=model.device)
        bridge(new, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits, patterns = bridge.run_with_cache(
            torch.tensor([stem.ids], device=model.device),
            names_filter=lambda name: name.endswith("attn.hook_pattern"),
            past_key_values=copy.deepcopy(cache),
            use_cache=True,
        )
        logprobs.append(logits[0, -1].float().log_softmax(-1)[[option[0] for option in cut.options]].cpu())
        attention.append(pool_attention(model, cut, patterns))
    return logprobs[::-1], attention[::-1]


def pool_attention(model: Model, cut: Condition, cache: object) -> Tensor:
    """The last row's attention to every piece, from cached patterns."""
    rows = torch.stack([cache["pattern", layer][0, :, -1] for layer in range(model.n_layers)])  # type: ignore[index]
    return torch.stack([rows[..., a:b].float().sum(-1) for a, b in cut.spans.values()], -1).cpu()
