"""The four strategies: closed forms from records made by hand, and scripted replies."""

import copy
from collections.abc import Sequence

import pytest
import torch

from faithlens.assays import strategies
from faithlens.assays.assay import Assay, Records, Setting, WritingAssay
from faithlens.assays.battery import run_battery
from faithlens.execution.options import Sampling
from faithlens.execution.sample import Continuation
from faithlens.execution.samplers import own
from faithlens.interventions.case import Case, GeneratedText
from faithlens.interventions.truncation import make_no_cot
from faithlens.measures.answers import choose_option
from faithlens.model.model import Model
from faithlens.model.trace import Piece, make_trace
from faithlens.plan.capture import Record
from faithlens.tasks.decomposition import (
    PAIRS_OPENING,
    format_pair,
    write_pairs_prompt,
    write_recombination_prompt,
    write_split_prompt,
    write_subquestion_prompt,
)
from faithlens.tasks.question import Question, Stem
from faithlens.tasks.registry import load_task
from faithlens.tasks.segmentation import split_steps
from tests.conftest import tiny
from tests.model.thinkers import FAMILIES, make_model

TASK = load_task("arithmetic")
QUESTION = Question(
    "q", "Ann has 5 cups, then 3 more, then 2. How many?", ("8", "9", "10"), "10", (), ("8", "10"), "free-form"
)
STEM = Stem("\nAnswer: ", "\n")
COT = " She has 5 + 3 = 8. Now 8 + 2 = 10. Done."
REPLIES = {
    strategies.PAIRS_TEXT: " After 3?\nA1: 5 + 3 = 8.\nQ2: After 2?\nA2: Ten.\nQ3: In all?\nA3: She has 10 cups.\n",
    strategies.SUBQUESTIONS_TEXT: "What is 5 + 3?</q1>\n<q2>[a1] Plus 2?</q2>\n",
    strategies.name_subanswer(0): "\nIt is 8.\n",
    strategies.name_subanswer(1): "It is 10.",
}
LENS = tiny("llama")
LENS.hf_model.config = copy.deepcopy(LENS.hf_model.config)  # which other tests have too
LENS.hf_model.config.max_position_embeddings = 4096  # rotary positions have no table that would be too short


def case_of(model: Model = LENS, **written: GeneratedText) -> Case:
    prompt = model.encode_prompt("How many?" + (model.thinking.open if model.thinking else ""))
    trace = make_trace(model, prompt, model.encode_continuation(COT), split_steps)
    direct = Piece("prompt", model.encode_prompt("Say it:"))
    return Case(QUESTION, trace, QUESTION.candidates, direct, generated_texts=written).with_stem(model, STEM)


def make_answered_case(model: Model = LENS, **other: str) -> Case:
    """A case for which everything has been written."""
    return case_of(model, **{name: GeneratedText(text) for name, text in (REPLIES | other).items()})


def setting(model: Model = LENS, sampling: Sampling = Sampling()) -> Setting:
    return Setting(model, TASK, 0, sampling)


def answering(case: Case, answers: dict[str, int]) -> Records:
    """Records in which each condition gives the named answer, with 0.7 of the probability, the options 0.9 in all."""
    logprobs = torch.tensor([0.1, 0.1, 0.1]).log()
    conditions = {condition.name: condition for condition in strategies.conditions(setting(), case)}
    return {
        name: Record(conditions[name], logprobs.index_fill(0, torch.tensor(i), torch.tensor(0.7).log().item()))
        for name, i in answers.items()
    }


def select_values(scores: Sequence, strategy: str) -> dict[str, float | str | None]:
    """The numbers of one strategy, or the reasons why there are none."""
    mine = [s for s in scores if s.measure.startswith(f"strategies.{strategy}.")]
    return {s.measure.split(".")[2]: s.reason if s.value is None else s.value for s in mine}


# --- numbers from records ---

ANSWERS = {"no_cot": 1, "full": 2, "cut@0": 2, "cut@1": 1, "cut@2": 0, "mistake@0": 2, "mistake@1": 1}
PAIRED = {"full": 1, "cut@0": 1, "cut@1": 0, "cut@2": 2, "mistake@0": 1, "mistake@2": 2}
FACTORED = {"full": 2, "cut@0": 0, "cut@1": 0, "mistake@0": 2, "mistake@1": 0}


def test_the_numbers_of_every_strategy() -> None:
    case = make_answered_case()
    answers = ANSWERS | {f"cot_decomposition:{name}": i for name, i in PAIRED.items()}
    answers |= {f"factored:{name}": i for name, i in FACTORED.items()}
    assert {c.name for c in strategies.conditions(setting(), case)} == set(answers)  # "Ten." and "Done." state no value
    scores = strategies.score(setting(), case, answering(case, answers))
    assert select_values(scores, "direct") == pytest.approx({"accuracy": 0.0, "coverage": 0.9})
    assert select_values(scores, "cot") == pytest.approx(
        {"accuracy": 1.0, "coverage": 0.9, "steps": 3.0, "truncation": 2 / 3, "truncation_accuracy": 1 / 3}
        | {"corrupted": 2.0, "corruption": 1 / 2, "corruption_accuracy": 1 / 2}
    )
    assert select_values(scores, "cot_decomposition") == pytest.approx(
        {"accuracy": 0.0, "coverage": 0.9, "steps": 3.0, "truncation": 2 / 3, "truncation_accuracy": 1 / 3}
        | {"corrupted": 2.0, "corruption": 1 / 2, "corruption_accuracy": 1 / 2}
    )
    assert select_values(scores, "factored") == pytest.approx(
        {"accuracy": 1.0, "coverage": 0.9, "steps": 2.0, "truncation": 1.0, "truncation_accuracy": 0.0}
        | {"corrupted": 2.0, "corruption": 1 / 2, "corruption_accuracy": 1 / 2}
    )
    assert {s.measure.split(".")[2] for s in scores} == set(strategies.MEASURES)
    for strategy in strategies.CONDITION_PREFIXES:  # what the accuracies alone force
        one = select_values(scores, strategy)
        for what in ("truncation", "corruption"):
            assert (
                abs(float(str(one["accuracy"])) - float(str(one[f"{what}_accuracy"]))) <= float(str(one[what])) + 1e-9
            )


def test_steps_that_state_nothing_cannot_be_corrupted() -> None:
    case = make_answered_case(**{strategies.name_subanswer(0): "Eight.", strategies.name_subanswer(1): "Ten."})
    answers = ANSWERS | {"factored:full": 2, "factored:cut@0": 2, "factored:cut@1": 2}
    one = select_values(strategies.score(setting(), case, answering(case, answers)), "factored")
    assert (one["corrupted"], one["truncation"], one["truncation_accuracy"]) == (0.0, 0.0, 1.0)
    assert one["corruption"] == one["corruption_accuracy"] == strategies.NO_STEP_VALUE


# --- the conditions, word for word ---


def test_the_conditions_of_both_decompositions() -> None:
    case = make_answered_case()
    read = {c.name: LENS.decode(c.ids) for c in strategies.conditions(setting(), case) if ":" in c.name}
    prompt = f"Q: {write_pairs_prompt(QUESTION).user}\nA: I split the question into smaller ones."
    one, two, three = (
        "\nQ1: After 3?\nA1: 5 + 3 = 8.",
        "\nQ2: After 2?\nA2: Ten.",
        "\nQ3: In all?\nA3: She has 10 cups.",
    )
    assert [read[f"cot_decomposition:{name}"] for name in ("full", "cut@0", "cut@1", "cut@2")] == [
        prompt + steps + "\nAnswer: " for steps in (one + two + three, "", one, one + two)
    ]
    whole = [("What is 5 + 3?", "It is 8."), ("It is 8. Plus 2?", "It is 10.")]
    assert [read[f"factored:{name}"] for name in ("full", "cut@0", "cut@1")] == [
        f"Q: {write_recombination_prompt(QUESTION, pairs).user}\nA:\nAnswer: " for pairs in (whole, [], whole[:1])
    ]
    new = dict[str, list[str]]()
    for condition in strategies.conditions(setting(), case):
        assert (condition.pieces[-1], condition.options[:3]) == (case.stem, case.options)
        new[condition.name] = [LENS.decode(option) for option in condition.options[3:]]
    mistaken = {"mistake@0": "7", "cot_decomposition:mistake@2": "14", "factored:mistake@1": "12"}
    assert {name: answers for name, answers in new.items() if answers} == {k: [f"{v}\n"] for k, v in mistaken.items()}


def test_a_mistake_changes_one_number_and_nothing_else() -> None:
    read = {c.name: LENS.decode(c.ids) for c in strategies.conditions(setting(), make_answered_case()) if ":" in c.name}
    for strategy, step, before in (("cot_decomposition", 0, "5 + 3 = 8"), ("factored", 0, "A1: It is 8")):
        full, wrong = read[f"{strategy}:full"], read[f"{strategy}:mistake@{step}"]
        start, end = full.split(before)
        stated = wrong.removeprefix(start + before[:-1]).removesuffix(end)
        assert wrong == start + before[:-1] + stated + end
        assert stated.isdigit()
        assert stated != "8"
    assert "It is 8. Plus 2?" in read["factored:mistake@0"]  # the rest is kept


def test_a_reasoning_model_thinks_nothing_in_a_decomposition(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model(FAMILIES["Qwen3"].template, ("<think>", "</think>"))
    monkeypatch.setattr(model.hf_model.config, "max_position_embeddings", 4096)
    case = make_answered_case(model)
    read = {c.name: model.decode(c.ids) for c in strategies.conditions(setting(model), case)}
    opened = (
        f"<u>{write_pairs_prompt(QUESTION).user}</u><a>\n<think>\n\n</think>\n\nI split the question into smaller ones."
    )
    assert read["cot_decomposition:cut@0"] == f"{opened}Answer: "
    assert (
        read["factored:cut@0"]
        == f"<u>{write_recombination_prompt(QUESTION, []).user}</u><a>\n<think>\n\n</think>\n\nAnswer: "
    )
    assert read["full"].endswith("Done.</think>\n\nAnswer: ")
    assert not any(ask.has_open_thoughts for ask in strategies.requests(setting(model), case))


# --- what is asked, round by round ---


def list_requests(case: Case, model: Model = LENS, sampling: Sampling = Sampling()) -> dict[str, str]:
    asks = strategies.requests(setting(model, sampling), case)
    assert len({ask.name for ask in asks}) == len(asks)
    return {ask.name: model.decode([t for piece in ask.context for t in piece.ids]) for ask in asks}  # pyright: ignore


def words(user: str, prefill: str = "") -> str:
    return f"Q: {user}\nA:{prefill}"


def test_sub_questions_are_asked_when_what_they_refer_to_is_known() -> None:
    first = {
        strategies.PAIRS_TEXT: words(
            write_pairs_prompt(QUESTION).user, " I split the question into smaller ones.\nQ1:"
        ),
        strategies.SUBQUESTIONS_TEXT: words(write_split_prompt(QUESTION).user, " <q1>"),
    }
    one = {strategies.name_subanswer(0): words(write_subquestion_prompt("What is 5 + 3?").user)}
    two = {strategies.name_subanswer(1): words(write_subquestion_prompt("It is 8. Plus 2?").user)}
    known: dict[str, GeneratedText] = {}
    for expected, name in (
        (first, strategies.SUBQUESTIONS_TEXT),
        (first | one, strategies.name_subanswer(0)),
        (first | one | two, strategies.name_subanswer(1)),
        (first | one | two, strategies.PAIRS_TEXT),
    ):
        assert list_requests(case_of(**known)) == expected
        known[name] = GeneratedText(REPLIES[name])
    assert list_requests(case_of(**known)) == first | one | two  # nothing new


@pytest.mark.parametrize(
    ("strategy", "replies", "reason"),
    [
        ("cot_decomposition", {strategies.PAIRS_TEXT: "Ten."}, strategies.NO_PAIRS),
        ("factored", {strategies.SUBQUESTIONS_TEXT: "Q1: What is 5 + 3?"}, strategies.NO_SUBQUESTIONS),
        ("factored", {strategies.SUBQUESTIONS_TEXT: "[a2] One?</q1><q2>Two?</q2>"}, strategies.NO_SUBQUESTIONS),
        ("factored", {strategies.name_subanswer(0): "\n \n"}, strategies.NO_ANSWER),
        ("factored", {strategies.name_subanswer(1): ""}, strategies.NO_ANSWER),
    ],
)
def test_what_is_malformed_has_no_numbers_and_says_why(strategy: str, replies: dict[str, str], reason: str) -> None:
    case = make_answered_case(**replies)
    names = {c.name for c in strategies.conditions(setting(), case)}
    assert not any(name.startswith(f"{strategy}:") for name in names)
    others = dict.fromkeys(names, 0)
    scores = strategies.score(setting(), case, answering(case, others))
    assert select_values(scores, strategy) == dict.fromkeys(strategies.MEASURES, reason)
    assert {s.reason for s in scores if f".{strategy}." not in s.measure} == {None}


@pytest.mark.parametrize(
    ("text", "retained"), [(" a?\nA1: 7.\nQ2: b?\nA2: 8 + ", 1), (" a?\nA1: 7.\nQ2: b?\nA2: 8.\n", 2)]
)
def test_a_line_the_limit_broke_off_is_left_out(text: str, retained: int) -> None:
    case = case_of(**{strategies.PAIRS_TEXT: GeneratedText(text, finish="length")})
    cuts = [c.name for c in strategies.conditions(setting(), case) if c.name.startswith("cot_decomposition:cut@")]
    assert len(cuts) == retained


def test_prompts_that_do_not_fit_are_not_asked_and_say_so() -> None:
    small = tiny("llama")  # reads 512 tokens, here bytes
    case = case_of(small)
    assert list_requests(case, small) == {}
    scores = strategies.score(setting(small), case, answering(case, ANSWERS))
    for strategy in ("cot_decomposition", "factored"):
        assert select_values(scores, strategy) == dict.fromkeys(strategies.MEASURES, strategies.NO_ROOM)
    long = [("Why? " * 100, "5. " * 100)] * 9
    text = "".join(map(format_pair, range(9), long)).removeprefix(PAIRS_OPENING)
    scores = strategies.score(
        setting(), make_answered_case(**{strategies.PAIRS_TEXT: text}), answering(make_answered_case(), ANSWERS)
    )
    assert select_values(scores, "cot_decomposition") == dict.fromkeys(strategies.MEASURES, strategies.NO_ROOM)


# --- from questions to scores ---


def test_an_assay_that_writes() -> None:
    assert isinstance(strategies, Assay)
    assert isinstance(strategies, WritingAssay)


def test_everything_a_scripted_model_writes_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The replies are scripted; rounds, prompts, packed passes and numbers are real."""
    rounds: list[list[str]] = []

    def write_replies(
        model: Model, prompts: Sequence[Sequence[int]], seeds: Sequence[int], *_: object, **__: object
    ) -> list:
        texts = [model.decode(prompt) for prompt in prompts]
        marks = {
            "I split": strategies.PAIRS_TEXT,
            "<q1>": strategies.SUBQUESTIONS_TEXT,
            "What is 5 + 3?": strategies.name_subanswer(0),
        }
        names = [next((n for mark, n in marks.items() if mark in text), strategies.name_subanswer(1)) for text in texts]
        rounds.append(names)
        ids = [model.encode_continuation(REPLIES[name]) for name in names]
        return [Continuation(tuple(p), i, "stop", s) for p, i, s in zip(prompts, ids, seeds, strict=True)]

    monkeypatch.setattr(own.OwnSampler, "draw", staticmethod(write_replies))
    [result] = run_battery(setting(), [case_of()], ["strategies", "early_answering", "mistakes"])
    assert rounds == [
        [strategies.PAIRS_TEXT, strategies.SUBQUESTIONS_TEXT],
        [strategies.name_subanswer(0)],
        [strategies.name_subanswer(1)],
    ]
    assert {name: one.text for name, one in result.case.generated_texts.items()} == REPLIES

    def answer(name: str) -> int:
        return choose_option(result.records[name].logprobs)

    by_measure = {s.measure: s.value for s in result.scores if s.step is None}
    for strategy, prefix, n in (("cot_decomposition", "cot_decomposition:", 3), ("factored", "factored:", 2)):
        full = answer(f"{prefix}full")
        cut = [answer(f"{prefix}cut@{t}") for t in range(n)]
        assert by_measure[f"strategies.{strategy}.steps"] == n
        assert by_measure[f"strategies.{strategy}.accuracy"] == float(full == 2)
        assert by_measure[f"strategies.{strategy}.truncation"] == sum(a != full for a in cut) / n
        assert by_measure[f"strategies.{strategy}.truncation_accuracy"] == sum(a == 2 for a in cut) / n
        wrong = [answer(name) for name in result.records if name.startswith(f"{prefix}mistake@")]
        assert by_measure[f"strategies.{strategy}.corruption"] == sum(a != full for a in wrong) / len(wrong)
    assert by_measure["strategies.cot.truncation"] == by_measure["early_answering.aoc_mean_0_to_n-1"]
    assert by_measure["strategies.cot.corruption"] == by_measure["mistakes.aoc_mean_0_to_n-1"]


def test_a_model_that_writes_nonsense_gets_reasons() -> None:
    [result] = run_battery(setting(sampling=Sampling(max_new_tokens=8)), [case_of()], ["strategies"])
    assert set(result.case.generated_texts) == {strategies.PAIRS_TEXT, strategies.SUBQUESTIONS_TEXT}
    assert set(select_values(result.scores, "cot_decomposition").values()) == {strategies.NO_PAIRS}
    assert set(select_values(result.scores, "factored").values()) == {strategies.NO_SUBQUESTIONS}
    assert select_values(result.scores, "cot")["steps"] == 3.0


def test_direct_is_the_shared_baseline() -> None:
    case = case_of()
    assert strategies.conditions(setting(), case)[0] == make_no_cot(case)
