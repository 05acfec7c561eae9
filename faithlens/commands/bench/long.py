"""Long chains of thought: what planning, passes and memory take, and how they grow.

A chain is answered after each of its steps (early answering), and once more for each step with that step hidden from
the answer (knockouts), which is planned but not run. The rivals are the best loops that one writes by hand:
transformers, or TransformerLens, runs the chain once, step by step, keeps keys and values, and answers after every step
from a cut copy of them. Chains of more than `RACED` tokens are run once and without rivals, because a loop takes as
long as the pass, which is many minutes on a CPU.

A chain longer than the model's context is run on a copy of the model whose config allows it. The work is the same, but
the answers mean nothing there.

Growth is the exponent b of seconds ~ tokens^b between the medians of the shortest and the longest chain that a rival
ran: 1 is linear, 2 quadratic.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import log
from statistics import median
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache

from faithlens.commands.bench.harness import (
    Agreement,
    BenchResult,
    Seconds,
    TimeRatio,
    check_agreements,
    describe_setting,
    divide_rounds,
    race_rivals,
)
from faithlens.commands.bench.traces import make_full_trace, make_truncations
from faithlens.commands.gaps import SLACK, rms
from faithlens.execution.cost import count_forwards
from faithlens.execution.execute import execute
from faithlens.execution.plain import answer_plainly, measure_noise
from faithlens.execution.work import Work, execute_with_work
from faithlens.model.model import Model
from faithlens.plan.condition import Condition, Knockout
from faithlens.plan.memory import plan_passes
from faithlens.plan.plan import Plan

SIZES = ((1000, 50), (10000, 300), (30000, 500))  # tokens of a chain, and its steps
RACED = 10000  # tokens of the longest chain that the rivals run too
PROMPT = 100  # tokens of the prompt, of these
PASS = "early answering, packed pass"
LOOPS = {
    "transformers": "early answering, transformers loop with kept keys and values",
    "TransformerLens": "early answering, TransformerLens loop with kept keys and values",
}
PLANS = ("early answering, plan", "knockouts, plan")


def measure(model: Model, repeats: int, sizes: Sequence[tuple[int, int]] = SIZES, raced: int = RACED) -> BenchResult:
    """Time plans, passes and loops for chains of each size. Chains of `raced` tokens and more have a single round.

    Raises:
        BenchmarkError: the rivals' numbers differ.
    """
    around, seconds, comparisons = describe_setting(model), Seconds(), list[TimeRatio]()
    agreements, peaks, works = list[Agreement](), dict[str, float](), list[str]()
    for tokens, steps in sizes:
        long = lengthen(model, 2 * tokens)
        cuts, hidden = make_conditions(long, tokens, steps)
        plans = {"early answering": plan_passes(long, cuts), "knockouts": plan_passes(long, hidden)}
        loops = list_loops(long) if tokens <= raced else {}
        agreements += check_agreements(measure_agreement(long, cuts, loops, tokens, raced))
        measured = list[Work]()
        rivals: dict[str, Callable[[], object]] = {
            PASS: partial(run_pass, long, plans["early answering"], measured),
            **{name: partial(run, cuts) for name, run in loops.items()},
            PLANS[0]: partial(plan_passes, long, cuts),
            PLANS[1]: partial(plan_passes, long, hidden),
        }
        times = race_rivals(rivals, repeats if tokens < raced else 1, warm_up=0)  # the check has warmed everything up
        at = f"{tokens:,} tokens"
        seconds |= {f"{name}, {at}": values for name, values in times.items()}
        comparisons += [
            *(
                TimeRatio(f"{kind} loop / packed pass, {at}", divide_rounds(times[name], times[PASS]))
                for kind, name in LOOPS.items()
                if name in loops
            ),
            *(TimeRatio(f"{name} / packed pass, {at}", divide_rounds(times[name], times[PASS])) for name in PLANS),
            *(TimeRatio(f"{name} / one forward, {at}", [count_forwards(long, plan)]) for name, plan in plans.items()),
            TimeRatio(
                f"peak memory, predicted / measured, {at}", [work.peak_bytes / work.measured_bytes for work in measured]
            ),
        ]
        peaks[at] = max(work.measured_bytes for work in measured) / 2**20
        works.append(f"{tokens:,} tokens in {steps} steps: {describe(plans)}")
    comparisons += measure_growth(seconds, sizes)
    return BenchResult("long", "; ".join(works), **around, agreements=agreements, seconds=seconds,
                       comparisons=comparisons, peak_mib=peaks)  # fmt: skip


def run_pass(model: Model, plan: Plan, measured: list[Work]) -> None:
    """Run a plan, and append the work that it took to `measured`."""
    measured.append(execute_with_work(model, plan)[1])


def describe(plans: dict[str, Plan]) -> str:
    """The rows and passes of each plan."""
    return ", ".join(f"{name} {plan.tokens:,} rows in {len(plan.passes)}" for name, plan in plans.items())


def lengthen(model: Model, n: int) -> Model:
    """The model, or a copy with the same weights whose config allows `n` tokens."""
    if model.context_length >= n:
        return model
    config = copy.deepcopy(model.hf_model.config)
    config.max_position_embeddings = n
    hf_model = AutoModelForCausalLM.from_config(config, dtype=model.hf_model.dtype).to(model.device).eval()
    hf_model.load_state_dict(model.hf_model.state_dict(), strict=False)
    name = f"{model.name} with a longer context"
    return Model(name, hf_model.requires_grad_(False), model.tokenizer, model.structure)


def make_conditions(model: Model, tokens: int, steps: int) -> tuple[list[Condition], list[Condition]]:
    """The chain cut after each step; and the chain as it is, and with each step hidden from the answer."""
    whole = make_full_trace(model, PROMPT, steps, (tokens - PROMPT) // steps)
    names = [piece.name for piece in whole.pieces[1:-1]]
    hidden = [replace(whole, name=f"hide {name}", edits=(Knockout("answer", (name,)),)) for name in names]
    return make_truncations(whole), [whole, *hidden]


def list_loops(model: Model) -> dict[str, Callable[[Sequence[Condition]], list[Tensor]]]:
    """The loops by name."""
    runs: dict[str, Callable[..., Any]] = {"transformers": model.hf_model, "TransformerLens": model.bridge}
    return {LOOPS[kind]: partial(run_loop, model, run) for kind, run in runs.items()}


@torch.inference_mode()
def run_loop(model: Model, run: Callable[..., Any], cuts: Sequence[Condition]) -> list[Tensor]:
    """A loop by hand, the fast way: the chain once, and each answer from the keys and values kept so far.

    Args:
        model: the model.
        run: its forward function: that of transformers, or that of TransformerLens.
        cuts: the chain, cut after each step, the longest first.
    """
    cache, logprobs = DynamicCache(config=model.hf_model.config), []
    for cut in reversed(cuts):  # from the empty chain of thought up, one piece more each time
        *body, stem = cut.pieces
        for ids in (body[-1].ids, stem.ids):
            output = run(
                torch.tensor([ids], device=model.device), past_key_values=cache, use_cache=True, logits_to_keep=1
            )
            logits: Tensor = output if isinstance(output, Tensor) else output.logits
        logprobs.append(logits[0, -1].float().log_softmax(-1)[[option[0] for option in cut.options]].cpu())
        cache.crop(-len(stem.ids))
    return logprobs[::-1]


def measure_agreement(
    model: Model,
    cuts: Sequence[Condition],
    loops: Mapping[str, Callable[[Sequence[Condition]], list[Tensor]]],
    tokens: int,
    raced: int,
) -> list[Agreement]:
    """How far the pass and the loops are from plain transformers, at the shortest chain and one of half of `raced`."""
    middle = next(i for i, cut in enumerate(cuts) if len(cut.ids) <= max(min(tokens, raced) / 2, len(cuts[-1].ids)))
    some = [cuts[-1], cuts[middle]]
    plain = [answer_plainly(model, cut) for cut in some]
    noise = max(1e-5, measure_noise(model, [partial(answer_plainly, model, some[0])], plain[:1]))
    answers = {"packed pass": [record.logprobs for record in execute(model, plan_passes(model, some))]}
    for name, run in loops.items():
        loop = run(cuts[middle:])
        answers[name] = [loop[-1], loop[0]]
    return [
        Agreement(f"answers of the {name}, {tokens:,} tokens", rms(values, plain), SLACK * noise)
        for name, values in answers.items()
    ]


def measure_growth(seconds: Seconds, sizes: Sequence[tuple[int, int]]) -> Iterator[TimeRatio]:
    """The exponent of each rival's median seconds between the shortest and the longest chain that it ran."""
    for name in (PASS, *LOOPS.values(), *PLANS):
        ran = [(n, median(seconds[key])) for n, _ in sizes if (key := f"{name}, {n:,} tokens") in seconds]
        (low, short), (high, long) = ran[0], ran[-1]
        yield TimeRatio(f"growth of {name}, {low:,} to {high:,} tokens", [log(long / short) / log(high / low)])
