"""A truncation sweep with pooled attention: the packed pass against TransformerLens loops that do the same.

`python -m benchmarks.truncation_sweep [--long]` checks first that all give the same numbers, and refuses to time them
if not.
"""

import argparse
import copy
from collections.abc import Callable, Sequence
from itertools import cycle, islice

import torch
from torch import Tensor
from transformers import DynamicCache

import faithlens as fl
from benchmarks import harness

SUBJECT = "truncation_sweep"
BARS = {False: 8.0, True: 30.0}  # TransformerLens' loop takes at least this many times as long; for the long trace
SUFFIX_BAR = 2.0  # and a loop that keeps keys and values between the cuts this many times
SLACK = 4  # how much more than TransformerLens' own rounding the two may differ by
PROMPT, STEPS, STEP = 120, 12, 20  # tokens of the prompt, steps, tokens a step
LONG_PROMPT, LONG_STEPS, LONG_STEP = 157, 48, 25
OPTIONS = ("A", "B", "C", "D")
STORY = (
    "Mara runs a small bakery. On Monday she bakes 48 rolls and sells 31 of them. On Tuesday she bakes twice as many "
    "as she had left, gives 9 to the school next door, and packs the others in bags of 5. Each bag costs 3 coins, and "
    "a single roll costs 1 coin. Her cousin buys 4 bags and 2 single rolls and pays with a note of 20 coins. "
)
THOUGHT = " Step {i}: there are {a} rolls now, and {b} more are baked, so in all there are {a} + {b} = {c} rolls."
STEM = "\n\nAnswer: ("

Outcome = tuple[Tensor, list[Tensor]]  # log-probabilities [condition, option]; attention [layer, head, span] each


def sweep(lens: fl.Lens, prompt_tokens: int = PROMPT, n: int = STEPS, step: int = STEP) -> list[fl.Condition]:
    """The conditions: real words, cut to exact lengths, so that every model has the same work."""
    prompt = exactly(lens, STORY, prompt_tokens)
    numbers = ((i, 17 + 3 * i, 5 + i) for i in range(n))
    steps = [exactly(lens, THOUGHT.format(i=i + 1, a=a, b=b, c=a + b), step) for i, a, b in numbers]
    trunk = [fl.Piece("prompt", prompt), *(fl.Piece(f"step {i}", ids) for i, ids in enumerate(steps))]
    stem = fl.Piece("stem", lens.encode_continuation(STEM))
    options = tuple(lens.encode_continuation(option) for option in OPTIONS)
    return [fl.Condition(f"cut@{t}", (*trunk[: 1 + t], stem), options) for t in reversed(range(n + 1))]


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
def suffixes(lens: fl.Lens, conditions: Sequence[fl.Condition]) -> Outcome:
    """TransformerLens by hand, the fast way: keys and values are kept from cut to cut, only new tokens are run."""
    bridge, cache = lens.bridge, DynamicCache()
    logprobs, attention = [], []
    for condition in reversed(conditions):  # from the empty chain of thought up, one piece more each time
        *body, stem = condition.pieces
        bridge(
            torch.tensor([body[-1].ids], device=lens.device), past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        logits, kept = bridge.run_with_cache(
            torch.tensor([stem.ids], device=lens.device),
            names_filter=lambda name: name.endswith("attn.hook_pattern"),
            past_key_values=copy.deepcopy(cache),
            use_cache=True,
        )
        answer = logits[0, -1].float().log_softmax(-1)
        rows = torch.stack([kept["pattern", layer][0, :, -1] for layer in range(lens.n_layers)])
        attention.append(torch.stack([rows[..., a:b].sum(-1) for a, b in condition.spans.values()], -1).cpu())
        logprobs.append(answer[[option[0] for option in condition.options]].cpu())
    return torch.stack(logprobs[::-1]), attention[::-1]


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
        "TransformerLens loop, keys and values kept": lambda: suffixes(lens, conditions),
        "transformers loop, no attention": lambda: transformers(lens, conditions),
        "transformers, full trace once": lambda: transformers(lens, conditions[:1]),
    }


def agreement(lens: fl.Lens, conditions: Sequence[fl.Condition]) -> dict[str, dict[str, float]]:
    """How far the packed pass is from the TransformerLens loop, root mean square, in nats and in fractions.

    The budget is `SLACK` times what TransformerLens itself loses by running in float32, seen on three of the cuts.

    Raises:
        SystemExit: the packed pass is outside of its budget.
    """
    double = fl.Lens(lens.name, copy.deepcopy(lens.model).double(), lens.tokenizer, lens.structure)
    some = [conditions[i] for i in (0, len(conditions) // 2, -1)]
    rounding = errors(transformer_lens(lens, some), transformer_lens(double, some))
    truth = transformer_lens(lens, conditions)
    gap = errors(packed(lens, conditions), truth)
    eps = torch.finfo(torch.float32).eps
    budget = {what: SLACK * loss + eps for what, loss in rounding.items()}
    kept = errors(suffixes(lens, conditions), truth)
    if any(not max(gap[what], kept[what]) <= budget[what] for what in budget):
        raise SystemExit(
            f"not timed: the packed pass is {gap} from TransformerLens, keys and values kept {kept};"
            f" the budget is {budget}"
        )
    return {"gap": gap, "gap_keys_and_values_kept": kept, "transformer_lens_rounding": rounding, "budget": budget}


def errors(outcome: Outcome, truth: Outcome) -> dict[str, float]:
    """Root mean square distance of log-probabilities and of pooled attention."""
    attention = [(a.double() - b.double()).flatten() for a, b in zip(outcome[1], truth[1], strict=True)]
    gaps = {"logprobs": outcome[0].double() - truth[0].double(), "attention": torch.cat(attention)}
    return {what: float(gap.square().mean().sqrt()) for what, gap in gaps.items()}


def main(model: str, device: str, repeats: int, long: bool) -> None:
    lens = fl.load(model, device=device)
    around = harness.environment(lens.device)
    shape = (LONG_PROMPT, LONG_STEPS, LONG_STEP) if long else (PROMPT, STEPS, STEP)
    conditions = sweep(lens, *shape)
    subject = f"{SUBJECT}_long" if long else SUBJECT
    plan = fl.compile_plan(conditions, lens.structure, context=lens.context)
    print(plan.describe())
    agreed = agreement(lens, conditions)
    runs = rivals(lens, conditions)
    times = harness.race(runs, repeats, warm_up=0 if long else 1)  # the check has warmed everything up
    first, second, third, *_ = runs
    result = {
        "subject": subject,
        "model": model,
        "work": {**dict(zip(("prompt", "steps", "step"), shape, strict=True)), "plan": plan.describe()},
        "environment": around,
        "agreement": agreed,
        "repeats": repeats,
        "seconds": {name: harness.spread(values) | {"all": values} for name, values in times.items()},
        "ratio": harness.ratios(times, second, first),
        "bar": BARS[long],
        "ratio_keys_and_values_kept": harness.ratios(times, third, first),
        "bar_keys_and_values_kept": SUFFIX_BAR,
    }
    print(table(result))
    harness.keep(subject, result, table(result))


def table(result: dict) -> str:
    """The result for a reader, in Markdown."""
    lines = ["| | seconds, median | quartiles |", "|---|---|---|"]
    for name, s in result["seconds"].items():
        lines.append(f"| {name} | {s['median']:.3f} | {s['q1']:.3f} to {s['q3']:.3f} |")
    r, k, e = result["ratio"], result["ratio_keys_and_values_kept"], result["environment"]
    met = "met" if r["median"] >= result["bar"] else "missed"
    where = ", ".join(f"{name} {e[name]}" for name in harness.LIBRARIES)
    return "\n".join([
        *lines,
        "",
        f"TransformerLens / faithlens, {result['repeats']} pairs: median {r['median']:.1f}, quartiles {r['q1']:.1f} to"
        f" {r['q3']:.1f}, all within {r['min']:.1f} to {r['max']:.1f}; the bar of {result['bar']:g} is {met}.",
        "",
        f"The loop that keeps keys and values / faithlens: median {k['median']:.1f}, within {k['min']:.1f} to"
        f" {k['max']:.1f}; bar {result['bar_keys_and_values_kept']:g}.",
        "",
        f"{result['model']}, float32, {e['device']}, {e['cpu']}, {e['threads']} threads, {where}, {e['date']};"
        f" load average before the start {e['load_average']:.1f} on {e['cores']} cores.",
    ])  # fmt: skip


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--model", default="smollm2-135m")
    asked.add_argument("--device", default="auto")
    asked.add_argument("--repeats", type=int, default=7)
    asked.add_argument("--long", action="store_true", help="49 cuts of 1,357 tokens")
    main(**vars(asked.parse_args()))
