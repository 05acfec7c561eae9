"""A truncation sweep with pooled attention: the packed pass against a TransformerLens loop that does the same.

`python -m benchmarks.truncation_sweep` checks first that both give the same numbers, and refuses to time them if not.
"""

import argparse
import copy
from collections.abc import Callable, Sequence
from itertools import cycle, islice

import torch
from torch import Tensor

import faithlens as fl
from benchmarks import harness

SUBJECT = "truncation_sweep"
BAR = 6.0  # TransformerLens takes at least this many times as long
PROMPT, STEPS, STEP = 120, 12, 20  # tokens of the prompt, steps, tokens a step
OPTIONS = ("A", "B", "C", "D")
STORY = (
    "Mara runs a small bakery. On Monday she bakes 48 rolls and sells 31 of them. On Tuesday she bakes twice as many as "
    "she had left, gives 9 to the school next door, and packs the others in bags of 5. Each bag costs 3 coins, and a "
    "single roll costs 1 coin. Her cousin buys 4 bags and 2 single rolls and pays with a note of 20 coins. "
)
THOUGHT = " Step {i}: there are {a} rolls now, and {b} more are baked, so the total is {a} + {b} = {c} rolls, which makes {d} bags."
STEM = "\n\nAnswer: ("

Outcome = tuple[Tensor, list[Tensor]]  # log-probabilities [condition, option]; attention [layer, head, span] each


def sweep(lens: fl.Lens) -> list[fl.Condition]:
    """The conditions: real words, cut to exact lengths, so that every model has the same work."""
    prompt = exactly(lens, STORY, PROMPT)
    numbers = ((i, 17 + 3 * i, 5 + i, 22 + 4 * i, 4 + i) for i in range(STEPS))
    steps = [exactly(lens, THOUGHT.format(i=i + 1, a=a, b=b, c=c, d=d), STEP) for i, a, b, c, d in numbers]
    trunk = [fl.Piece("prompt", prompt), *(fl.Piece(f"step {i}", ids) for i, ids in enumerate(steps))]
    stem = fl.Piece("stem", lens.encode_continuation(STEM))
    options = tuple(lens.encode_continuation(option) for option in OPTIONS)
    return [fl.Condition(f"cut@{t}", (*trunk[: 1 + t], stem), options) for t in reversed(range(STEPS + 1))]


def exactly(lens: fl.Lens, text: str, n: int) -> tuple[int, ...]:
    """The first `n` tokens of `text`, said again where it is too short."""
    return tuple(islice(cycle(lens.encode_continuation(text)), n))


def packed(lens: fl.Lens, conditions: Sequence[fl.Condition]) -> Outcome:
    """faithlens: plan and run."""
    plan = fl.compile_plan(conditions, lens.structure, context=lens.context)
    records = fl.execute(lens, plan, fl.Capture(attention=("answer",)))
    return torch.stack([r.logprobs for r in records]), [r.attention["answer"] for r in records]


@torch.inference_mode()
def transformer_lens(lens: fl.Lens, conditions: Sequence[fl.Condition]) -> Outcome:
    """TransformerLens as its documentation teaches: `run_with_cache` of the patterns, then pooling what was cached."""
    bridge = lens.bridge
    logprobs, attention = [], []
    for condition in conditions:
        tokens = torch.tensor([condition.ids], device=lens.device)
        logits, cache = bridge.run_with_cache(tokens, names_filter=lambda name: name.endswith("attn.hook_pattern"))
        answer = logits[0, -1].float().log_softmax(-1)
        rows = torch.stack([cache["pattern", layer][0, :, -1] for layer in range(lens.n_layers)])
        pooled = torch.stack([rows[..., a:b].sum(-1) for a, b in condition.spans.values()], -1)
        logprobs.append(answer[[option[0] for option in condition.options]].cpu())
        attention.append(pooled.cpu())
    return torch.stack(logprobs), attention


@torch.inference_mode()
def transformers(lens: fl.Lens, conditions: Sequence[fl.Condition]) -> Tensor:
    """Plain transformers, a forward a condition, only the last row unembedded; no attention comes back."""
    logprobs = []
    for condition in conditions:
        tokens = torch.tensor([condition.ids], device=lens.device)
        logits = lens.model(tokens, logits_to_keep=1, use_cache=False).logits
        logprobs.append(logits[0, -1].float().log_softmax(-1)[[option[0] for option in condition.options]].cpu())
    return torch.stack(logprobs)


def rivals(lens: fl.Lens, conditions: Sequence[fl.Condition]) -> dict[str, Callable[[], object]]:
    """Who is timed. The last two give less: no attention, and one condition only."""
    return {
        "faithlens, packed": lambda: packed(lens, conditions),
        "TransformerLens loop": lambda: transformer_lens(lens, conditions),
        "transformers loop, no attention": lambda: transformers(lens, conditions),
        "transformers, full trace once": lambda: transformers(lens, conditions[:1]),
    }


def agreement(lens: fl.Lens, conditions: Sequence[fl.Condition]) -> dict[str, dict[str, float]]:
    """How far each rival is from the TransformerLens loop in float64, root mean square; in nats and in fractions.

    The budget of the packed pass is twice what TransformerLens itself loses by running in float32.

    Raises:
        SystemExit: the packed pass is outside of its budget.
    """
    double = fl.Lens(lens.name, copy.deepcopy(lens.model).double(), lens.tokenizer, lens.structure)
    truth = transformer_lens(double, conditions)
    ours, theirs = errors(packed(lens, conditions), truth), errors(transformer_lens(lens, conditions), truth)
    eps = torch.finfo(torch.float32).eps
    budget = {"logprobs": 2 * theirs["logprobs"] + eps * float(truth[0].abs().max())}
    budget["attention"] = 2 * theirs["attention"] + eps
    if any(not ours[what] <= budget[what] for what in budget):
        raise SystemExit(f"not timed: packed is {ours} from float64, TransformerLens {theirs}, the budget {budget}")
    return {"packed": ours, "transformer_lens": theirs, "budget": budget}


def errors(outcome: Outcome, truth: Outcome) -> dict[str, float]:
    """Root mean square distance of log-probabilities and of pooled attention."""
    attention = [(a.double() - b.double()).flatten() for a, b in zip(outcome[1], truth[1], strict=True)]
    gaps = {"logprobs": outcome[0].double() - truth[0].double(), "attention": torch.cat(attention)}
    return {what: float(gap.square().mean().sqrt()) for what, gap in gaps.items()}


def main(model: str, device: str, repeats: int) -> None:
    lens = fl.load(model, device=device)
    conditions = sweep(lens)
    plan = fl.compile_plan(conditions, lens.structure, context=lens.context)
    print(plan.describe())
    agreed = agreement(lens, conditions)
    around = harness.environment(lens.device)
    runs = rivals(lens, conditions)
    times = harness.race(runs, repeats)
    first, second, *_ = runs
    result = {
        "subject": SUBJECT,
        "model": model,
        "work": {"prompt": PROMPT, "steps": STEPS, "step": STEP, "cuts": len(conditions), "plan": plan.describe()},
        "environment": around,
        "agreement": agreed,
        "repeats": repeats,
        "seconds": {name: harness.spread(values) | {"all": values} for name, values in times.items()},
        "peak_mib": {name: harness.peak_mib(run) for name, run in runs.items()},
        "ratio": harness.ratios(times, second, first),
        "bar": BAR,
    }
    print(table(result))
    print(f"kept in benchmarks/results/{harness.keep(SUBJECT, result).name}")


def table(result: dict) -> str:
    """The result for a reader, in Markdown."""
    lines = ["| | seconds, median | quartiles | memory, MiB |", "|---|---|---|---|"]
    for name, s in result["seconds"].items():
        memory = result["peak_mib"][name]
        shown = "" if memory is None else f"{memory:.0f}"
        lines.append(f"| {name} | {s['median']:.3f} | {s['q1']:.3f} to {s['q3']:.3f} | {shown} |")
    r, e = result["ratio"], result["environment"]
    met = "met" if r["median"] >= result["bar"] else "missed"
    return "\n".join([
        *lines,
        "",
        f"TransformerLens / faithlens, {result['repeats']} pairs: median {r['median']:.1f}, quartiles {r['q1']:.1f} to"
        f" {r['q3']:.1f}, all within {r['min']:.1f} to {r['max']:.1f}; the bar of {result['bar']:g} is {met}.",
        "",
        f"{result['model']}, float32, {e['device']}, {e['cpu']}, {e['threads']} threads, torch {e['torch']}, transformers"
        f" {e['transformers']}, TransformerLens {e['transformer-lens']}, {e['date']}.",
    ])  # fmt: skip


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--model", default="smollm2-135m")
    asked.add_argument("--device", default="auto")
    asked.add_argument("--repeats", type=int, default=9)
    main(**vars(asked.parse_args()))
