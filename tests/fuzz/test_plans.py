"""Plans of a random model: what must not change an answer does not, and probabilities are probabilities."""

from dataclasses import replace
from functools import cache

import torch
from hypothesis import strategies as st

from faithlens.errors import FaithlensError, TraceError
from faithlens.execution.execute import execute
from faithlens.execution.options import Sampling
from faithlens.execution.sample import sample
from faithlens.interventions.case import make_case
from faithlens.measures.answers import option_coverage, option_probabilities
from faithlens.model.model import Model
from faithlens.model.trace import Piece, make_trace
from faithlens.plan.capture import Capture, Record
from faithlens.plan.condition import COMPONENTS, Ablation, Condition, Edit, KeyValuePatch, Knockout, Patch
from faithlens.plan.memory import plan_passes
from faithlens.plan.plan import compile_plan
from faithlens.tasks.question import Question, Stem
from faithlens.tasks.running_sum import RunningSum
from faithlens.tasks.segmentation import split_steps
from tests.conftest import tiny
from tests.fuzz.runner import check_error, fuzz
from tests.fuzz.strategies import CHAIN, QUESTIONS

TOKENS = st.integers(2, 257)
FAMILIES = st.sampled_from(["llama", "gpt_neox", "mistral"])
SAME = 2e-5
"""Nats by which equal sums in float32 may differ where they are added up in another order."""
ROUNDING = 1e-6
"""What the last digit of a sum in float32 may be off by, where the same rows are read twice."""

get_model = cache(tiny)


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    """A condition without edits: a prompt, some steps, a stem, and options of which one may begin another."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    names = ["prompt", *(f"step {i}" for i in range(len(sizes) - 1)), "stem"]
    pieces = [
        Piece(name, tuple(draw(st.lists(TOKENS, min_size=n, max_size=n))))
        for name, n in zip(names, [*sizes, 2], strict=True)
    ]
    option = st.lists(st.integers(60, 63), min_size=1, max_size=3).map(tuple)
    sequences = draw(st.lists(option, min_size=2, max_size=6, unique=True))
    cut = draw(st.integers(2, len(sequences)))
    more = [[] for _ in range(cut)]
    for sequence in sequences[cut:]:
        more[draw(st.integers(0, cut - 1))].append(sequence)
    spellings = tuple(map(tuple, more)) if any(more) else ()
    return Condition("clean", tuple(pieces), tuple(sequences[:cut]), spellings=spellings)


@st.composite
def edits(draw: st.DrawFn, clean: Condition) -> Edit:
    """An edit of `clean`, with or without a meaning."""
    n = len(clean.ids)
    span = st.one_of(
        st.sampled_from([piece.name for piece in clean.pieces]), st.tuples(st.integers(-1, n), st.integers(0, n + 1))
    )
    other = replace(clean, name="donor", pieces=tuple(Piece(p.name, tuple(reversed(p.ids))) for p in clean.pieces))
    donor = draw(st.sampled_from([clean, other]))
    layers = draw(st.sampled_from([None, (0,), (1, 2), (2,), (), (3,), (-1,)]))
    reader = draw(st.sampled_from(["answer", *(p.name for p in clean.pieces), "nobody"]))
    match draw(st.integers(0, 4)):
        case 0:
            return Knockout(reader, tuple(draw(st.lists(span, max_size=2))), layers)
        case 1:
            return KeyValuePatch(reader, draw(span), donor, layers)
        case 2:
            amount = draw(st.sampled_from([0.0, 0.5, 1.0, 2.0, float("nan")]))
            return Patch(draw(st.sampled_from(COMPONENTS)), draw(span), donor, layers, amount=amount)
        case 3:
            heads = draw(st.sampled_from([None, (0,), (5,), (6,), (-1,)]))
            return Ablation(
                draw(st.sampled_from(COMPONENTS)),
                draw(span),
                draw(st.sampled_from(["zero", "mean", "noise"])),
                layers,
                heads,
            )
        case _:
            return Patch("z", draw(span), donor, layers, heads=(1, 3))


@st.composite
def edited_pairs(draw: st.DrawFn) -> tuple[Condition, Condition]:
    clean = draw(conditions())
    return clean, replace(clean, name="edited", edits=tuple(draw(st.lists(edits(clean), max_size=2))))


def run(model: Model, conditions: list[Condition], budget: int = 4096) -> list[Record]:
    return execute(model, plan_passes(model, conditions, budget=budget), Capture(attention=("answer",)))


def assert_same(first: Record, second: Record, tolerance: float = SAME) -> None:
    torch.testing.assert_close(first.logprobs, second.logprobs, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(first.attention["answer"], second.attention["answer"], atol=tolerance, rtol=tolerance)


@fuzz(edited_pairs(), FAMILIES, st.integers(4, 60), slice=25)
def test_neighbours_budgets_and_copies_change_nothing(
    pair: tuple[Condition, Condition], family: str, budget: int
) -> None:
    clean, changed = pair
    model = get_model(family)
    try:
        [alone] = run(model, [changed])
    except FaithlensError:
        changed, [alone] = clean, run(model, [clean])
    [plain] = run(model, [clean])
    once, again, other, unedited = run(model, [changed, changed, clean, replace(changed, name="unedited", edits=())])
    assert_same(once, again, ROUNDING)
    assert_same(once, alone)
    assert_same(other, plain)
    assert_same(unedited, other, ROUNDING)
    for one, two in zip(run(model, [clean, changed], budget), (plain, alone), strict=True):
        assert_same(one, two)
    for record in (once, other):
        assert not torch.isnan(record.logprobs).any()
        assert abs(option_probabilities(record.logprobs).sum() - 1) < 1e-9
        assert 0 < option_coverage(record.logprobs) <= 1 + 1e-5
        attention = record.attention["answer"]
        assert ((attention >= 0) & (attention <= 1 + 1e-5)).all()


@fuzz(edited_pairs(), FAMILIES, st.randoms(use_true_random=False), slice=15)
def test_the_order_of_options_and_a_patch_of_oneself_mean_nothing(
    pair: tuple[Condition, Condition], family: str, rng: object
) -> None:
    clean, _ = pair
    model, order = get_model(family), list(range(len(clean.options)))
    rng.shuffle(order)  # pyright: ignore[reportAttributeAccessIssue]
    options = tuple(clean.options[i] for i in order)
    spellings = tuple(clean.spellings[i] for i in order) if clean.spellings else ()
    itself = tuple(Patch(component, "prompt", clean) for component in COMPONENTS)
    turned = replace(clean, name="turned", options=options, spellings=spellings)
    first, second, same = run(model, [clean, turned, replace(clean, name="itself", edits=itself)])
    torch.testing.assert_close(first.logprobs[order], second.logprobs, atol=SAME, rtol=SAME)
    assert_same(first, same)


@fuzz(edited_pairs(), st.integers(1, 40), slice=100)
def test_a_plan_holds_each_condition_once_within_its_budget(pair: tuple[Condition, Condition], budget: int) -> None:
    many = [*pair, pair[1], replace(pair[0], name="another")]
    try:
        plan = compile_plan(many, budget=budget)
    except FaithlensError:
        return
    assert plan.conditions == tuple(many)
    assert plan == compile_plan(many, budget=budget)
    assert "nan" not in plan.describe()
    assert compile_plan(many, budget=10**6).tokens <= plan.tokens


@fuzz(QUESTIONS, CHAIN, slice=15)
def test_a_case_scores_every_answer_once(question: Question, cot: str) -> None:
    model, task, stem = get_model("llama"), RunningSum(), Stem("\nAnswer: ", ".")
    prompt = model.encode_prompt("Q: " + question.text[:80])
    try:
        trace = make_trace(model, prompt, model.continue_ids(prompt, cot[:120]), split_steps)
        case = make_case(model, task, question, trace).with_stem(model, stem)
    except TraceError:
        return
    condition = case.make_condition("clean", trace.pieces)
    try:
        first, second = run(model, [condition, condition])
    except FaithlensError as error:
        check_error(error)
        return
    assert_same(first, second, ROUNDING)
    assert len(first.logprobs) == len(case.candidates)
    assert 0 < option_coverage(first.logprobs) <= 1 + 1e-5
    assert case.candidates[case.answer_index] == question.answer


@fuzz(
    st.lists(st.lists(TOKENS, min_size=1, max_size=9), min_size=1, max_size=4),
    FAMILIES,
    st.sampled_from([0.0, 1.0]),
    slice=10,
)
def test_a_batch_changes_no_sample(prompts: list[list[int]], family: str, temperature: float) -> None:
    model, seeds, sampling = get_model(family), list(range(len(prompts))), Sampling(5, temperature)
    together = sample(model, prompts, seeds, sampling)
    assert together == sample(model, prompts, seeds, sampling, batch_size=1)
    assert [one.prompt for one in together] == [tuple(prompt) for prompt in prompts]
