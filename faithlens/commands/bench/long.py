"""Long chains of thought: what planning, passes and memory take, and how they grow.

A chain is answered after each of its steps (early answering), and once more for each step with that step hidden from
the answer (knockouts), which is planned but not run. The rival is the best loop that one writes by hand: transformers
runs the chain once, step by step, keeps keys and values, and answers after every step from a cut copy of them.

A chain longer than the model's context is run on a copy of the model whose config allows it. The work is the same, but
the answers mean nothing there.

Growth is the exponent b of seconds ~ tokens^b between the shortest and the longest chain: 1 is linear, 2 quadratic.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import log

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
from faithlens.execution.work import execute_with_work
from faithlens.model.model import Model
from faithlens.plan.condition import Condition, Knockout
from faithlens.plan.memory import plan_passes
from faithlens.plan.plan import Plan

SIZES = ((1000, 50), (10000, 300))  # tokens of a chain, and its steps
PROMPT = 100  # tokens of the prompt, of these
PASS, LOOP = "early answering, packed pass", "early answering, transformers loop with kept keys and values"
PLANS = ("early answering, plan", "knockouts, plan")


def measure(model: Model, repeats: int, sizes: Sequence[tuple[int, int]] = SIZES) -> BenchResult:
    """Time plans, passes and the loop for chains of each size.

    Raises:
        BenchmarkError: the rivals' numbers differ.
    """
    around, seconds, comparisons = describe_setting(model), Seconds(), list[TimeRatio]()
    agreements, peaks, works = list[Agreement](), dict[str, float](), list[str]()
    for tokens, steps in sizes:
        long = lengthen(model, 2 * tokens)
        cuts, hidden = make_conditions(long, tokens, steps)
        plans = {"early answering": plan_passes(long, cuts), "knockouts": plan_passes(long, hidden)}
        agreements += check_agreements(measure_agreement(long, cuts, tokens))
        records, work = execute_with_work(long, plans["early answering"])
        assert len(records) == len(cuts)
        rivals: dict[str, Callable[[], object]] = {
            PASS: partial(execute, long, plans["early answering"]),
            LOOP: partial(run_loop, long, cuts),
            PLANS[0]: partial(plan_passes, long, cuts),
            PLANS[1]: partial(plan_passes, long, hidden),
        }
        times = race_rivals(rivals, repeats, warm_up=0)
        at = f"{tokens:,} tokens"
        seconds |= {f"{name}, {at}": values for name, values in times.items()}
        comparisons += [
            TimeRatio(f"loop / packed pass, {at}", divide_rounds(times[LOOP], times[PASS])),
            *(TimeRatio(f"{name} / packed pass, {at}", divide_rounds(times[name], times[PASS])) for name in PLANS),
        ]
        comparisons += [
            *(TimeRatio(f"{name} / one forward, {at}", [count_forwards(long, plan)]) for name, plan in plans.items()),
            TimeRatio(f"peak memory, predicted / measured, {at}", [work.peak_bytes / work.measured_bytes]),
        ]
        peaks[at] = work.measured_bytes / 2**20
        works.append(f"{tokens:,} tokens in {steps} steps: {describe(plans)}")
    comparisons += measure_growth(seconds, sizes)
    return BenchResult("long", "; ".join(works), **around, agreements=agreements, seconds=seconds,
                       comparisons=comparisons, peak_mib=peaks)  # fmt: skip


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


@torch.inference_mode()
def run_loop(model: Model, cuts: Sequence[Condition]) -> list[Tensor]:
    """Transformers by hand, the fast way: the chain once, and each answer from the keys and values kept so far."""
    cache, logprobs = DynamicCache(config=model.hf_model.config), []
    for cut in reversed(cuts):  # from the empty chain of thought up, one piece more each time
        *body, stem = cut.pieces
        for ids in (body[-1].ids, stem.ids):
            new = torch.tensor([ids], device=model.device)
            logits = model.hf_model(new, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
        logprobs.append(logits[0, -1].float().log_softmax(-1)[[option[0] for option in cut.options]].cpu())
        cache.crop(-len(stem.ids))
    return logprobs[::-1]


def measure_agreement(model: Model, cuts: Sequence[Condition], tokens: int) -> list[Agreement]:
    """How far the pass and the loop are from plain transformers, at the shortest chain and one in the middle."""
    some = [cuts[-1], cuts[len(cuts) // 2]]
    plain = [answer_plainly(model, cut) for cut in some]
    noise = max(1e-5, measure_noise(model, [partial(answer_plainly, model, some[0])], plain[:1]))
    ours = [record.logprobs for record in execute(model, plan_passes(model, some))]
    loop = run_loop(model, cuts[len(cuts) // 2 :])
    return [
        Agreement(f"answers of the {name}, {tokens:,} tokens", rms(values, plain), SLACK * noise)
        for name, values in (("packed pass", ours), ("loop", [loop[-1], loop[0]]))
    ]


def measure_growth(seconds: Seconds, sizes: Sequence[tuple[int, int]]) -> Iterator[TimeRatio]:
    """The exponent of each rival's seconds, in each round."""
    (low, _), (high, _) = sizes[0], sizes[-1]
    for name in (PASS, LOOP, *PLANS):
        pairs = zip(seconds[f"{name}, {low:,} tokens"], seconds[f"{name}, {high:,} tokens"], strict=True)
        yield TimeRatio(f"growth of {name}", [log(b / a) / log(high / low) for a, b in pairs])
