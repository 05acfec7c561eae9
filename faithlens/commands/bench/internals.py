"""The internal measures of one trace and its donor, in plain forwards of that trace.

Tier 1 holds the measures that every question gets, tier 2 those that a user asks for. They are not timed against a
rival: their numbers come from the packed pass, and other benchmarks compare the packed pass with TransformerLens.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import faithlens as fl
from faithlens.commands.bench.harness import BenchResult, TimeRatio, describe_setting, divide_rounds, race_rivals
from faithlens.commands.bench.sweep import PROMPT, STEP, STEPS
from faithlens.commands.bench.traces import STORY, make_full_trace, repeat_tokens
from faithlens.effects.experiment import Experiment, replace_words
from faithlens.effects.integrated_gradients import integrate_gradients, make_attribution_weights
from faithlens.effects.paths import make_path_conditions
from faithlens.errors import BenchmarkError
from faithlens.execution.execute import execute
from faithlens.execution.plain import answer_plainly
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.capture import Capture
from faithlens.plan.condition import Condition, KeyValuePatch, Knockout, Patch
from faithlens.plan.memory import plan_passes

MIDPOINTS = 5
ONCE = "transformers, one forward"
NAMES = tuple(f"step {i}" for i in range(STEPS))


def measure(model: Model, repeats: int) -> BenchResult:
    """Time the tiers.

    Raises:
        BenchmarkError: no donor has another answer than the trace.
    """
    around = describe_setting(model)
    clean, donor = find_pair(model)
    records = execute(model, plan_passes(model, [clean, donor]))
    work, weights = Experiment.from_pair("denoise", clean, donor), make_attribution_weights(*records)
    patches = [Patch("resid_pre", name, work.source, layers=(0,)) for name in NAMES]
    states, words = make_state_conditions(clean, donor), make_word_conditions(clean, donor)
    grid = "residual grid, one mode"
    tier2: dict[str, Callable[[], object]] = {
        grid: lambda: fl.effects.patch_effects(model, clean, donor),
        "layers against the question": lambda: fl.effects.layer_effects(model, clean, donor),
        "heads, 10 and 20 exactly": lambda: fl.effects.head_effects(model, clean, donor),
        "gradient flow, 20 heads exactly": lambda: fl.effects.measure_gradient_flow(model, clean),
        "flow of all steps": lambda: execute(model, plan_passes(model, [clean]), Capture(flow=("answer", *NAMES))),
        "suppression matrix": lambda: fl.effects.suppression_effects(model, clean, controls=0),
    }
    views, gradients = (
        "attention, logit lens, distances",
        f"integrated gradients, {MIDPOINTS} midpoints",
    )
    tier1 = {
        "paths, relay, states, knockouts": lambda: execute(model, plan_passes(model, states)),
        views: lambda: read_views(model, clean, donor),
        "words of single steps, both modes": lambda: execute(model, plan_passes(model, words)),
        gradients: lambda: integrate_gradients(model, work, patches, MIDPOINTS, weights),
    }
    times = race_rivals({**tier1, **tier2, ONCE: lambda: answer_plainly(model, clean)}, repeats)

    def together(names: Sequence[str]) -> list[float]:
        return [sum(each) for each in zip(*(times[name] for name in names), strict=True)]

    costs = {
        "tier 1 but gradients and single steps' words": [*tier1][:2],
        "tier 1 but gradients": [*tier1][:3],
        gradients: [gradients],
        grid: [grid],
        "tiers 1 and 2": [*tier1, *tier2],
    }
    return BenchResult(
        subject="internal",
        work=f"a trace of {len(clean.ids)} tokens in {STEPS} steps and a donor, {model.n_layers} layers",
        **around,
        agreements=[],
        seconds=times,
        comparisons=[
            TimeRatio(f"{name} / one forward", divide_rounds(together(parts), times[ONCE]))
            for name, parts in costs.items()
        ],
        peak_mib={},
    )


def find_pair(model: Model) -> tuple[Condition, Condition]:
    """A trace, and a donor of another question and other numbers with the same token layout and another answer.

    Raises:
        BenchmarkError: there is none.
    """
    digits = tuple(model.encode_continuation(digit)[-1:] for digit in "0123456789")
    stem = Piece("stem", model.encode_continuation(" So in all there are "))

    def make_trace(shift: int, first: int) -> Condition:
        prompt, *steps, _ = make_full_trace(model, PROMPT, STEPS, STEP, first).pieces
        prompt = replace(prompt, ids=repeat_tokens(model, STORY[shift:], PROMPT))
        return Condition(f"first {first}", (prompt, *steps, stem), digits)

    clean = make_trace(0, 17)
    donors = fl.effects.find_donors(model, clean, [make_trace(9, first) for first in range(1, 40, 2)])
    if not donors.clean:
        raise BenchmarkError(
            f"the internal measures have no donor: {donors.dropped[0][1]}", "Time them on another model."
        )
    return clean, donors.donor[0]


def make_state_conditions(clean: Condition, donor: Condition) -> list[Condition]:
    """Conditions of path effects, the relay, states and knockouts, each beside a random span."""
    spans = [clean.spans[name] for name in NAMES]
    beside = [(a + 5, b + 5) for a, b in spans[:-1]] + [(spans[-1][0] - 5, spans[-1][1] - 5)]
    read = [*NAMES, *beside]
    return [
        *make_path_conditions(clean, donor),
        *(replace(clean, name="state", edits=(KeyValuePatch("answer", where, donor),)) for where in read),
        *(replace(clean, name="knockout", edits=(Knockout("answer", (where,)),)) for where in (*read, "prompt")),
    ]


def make_word_conditions(clean: Condition, donor: Condition) -> list[Condition]:
    """Conditions that exchange the words of single steps, in both modes."""
    swapped = [replace_words(base, source, name) for base, source in ((clean, donor), (donor, clean)) for name in NAMES]
    return [clean, donor, *swapped]


def read_views(model: Model, clean: Condition, donor: Condition) -> None:
    """Attention from the answer and every step, the model at every step's end, and distances from the donor's run."""
    capture = Capture(attention=("answer", *NAMES), logit_lens=("answer", *NAMES), compare=True)
    execute(model, plan_passes(model, [clean, replace(donor, reference=clean)]), capture)
