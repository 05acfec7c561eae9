"""Reversed pairs: the task against arithmetic, scores by hand, and models in which it is planted what decides."""

import random
import re
from collections import Counter
from dataclasses import dataclass, replace

import pandas as pd
import pytest

import faithlens as fl
from faithlens.assays import reversed_pairs
from faithlens.assays.assay import Setting
from faithlens.assays.battery import run_battery
from faithlens.assays.cases import make_cases
from faithlens.effects.decision import name_option
from faithlens.errors import MeasureError, PlanError, TaskError
from faithlens.interventions.case import Case
from faithlens.organisms import ORGANISMS
from faithlens.tasks.comparisons import ELEMENTS, EVENTS, PLANETS, PROPERTIES, Comparisons
from faithlens.tasks.counterfactuals import Counterfactual
from faithlens.tasks.question import Question
from faithlens.tasks.running_sum import RunningSum
from tests.assays.scripted import LENS, case_of, score_case, value

TASK = Comparisons()
SETTING = Setting(LENS, TASK, 0)


def right(question: Question) -> str:
    return question.choices[question.candidates.index(question.answer)]


# --- the task ---


def test_exactly_one_question_of_a_pair_has_the_answer_yes() -> None:
    groups, answers = set[tuple[str, ...]](), list[str]()
    for question in TASK.draw_questions(300, 0):
        reverse = TASK.reverse_question(question)
        assert reverse is not None
        assert TASK.reverse_question(reverse) == question
        assert {right(question), right(reverse)} == {"Yes", "No"} == set(question.choices)
        assert question.choices == reverse.choices
        (group, (x, y)), (same, things) = TASK.read_pair(question), TASK.read_pair(reverse)
        assert (same, things) == (group, (y, x))
        assert f"{x} " in question.text
        assert question.text.replace(x, "*").replace(y, x).replace("*", y) == reverse.text
        groups.add(group)
        answers.append(right(question))
    assert groups == {(name, way) for name in PROPERTIES for way in ("more", "less")}
    assert 120 < answers.count("Yes") < 180
    other = Question("other:0", "?", ("A", "B"), "A", ("Yes", "No"))
    assert TASK.reverse_question(other) is None
    for question in (other, replace(TASK.draw_questions(1, 0)[0], text="Is 1 more than 2?")):
        with pytest.raises(TaskError, match="is no question of comparisons, so it has no pair"):
            TASK.read_pair(question)


def test_the_right_answer_is_that_of_arithmetic_and_of_the_lists() -> None:
    lists = {"planet": PLANETS, "element": ELEMENTS, "event": EVENTS}
    for question in TASK.draw_questions(200, 1):
        (name, way), things = TASK.read_pair(question)
        if name in lists:
            first, second = map(lists[name].index, things)
        else:
            (a, operation, b), (c, _, d) = (re.fullmatch(r"(\d+) (times|plus) (\d+)", x).groups() for x in things)  # type: ignore[union-attr]
            work = int.__mul__ if operation == "times" else int.__add__
            first, second = work(int(a), int(b)), work(int(c), int(d))
        assert (right(question) == "Yes") == (first > second if way == "more" else first < second)


def test_a_step_is_misstated_by_exchanging_what_is_compared() -> None:
    question = TASK.draw_questions(1, 0)[0]
    _, (x, y) = TASK.read_pair(question)
    assert TASK.misstate(f"So {x} comes before {y}.", question, random.Random(0)) == f"So {y} comes before {x}."
    assert TASK.misstate("Let us see.", question, random.Random(0)) is None


# --- scores by hand ---


def make_pair() -> Case:
    question = TASK.draw_questions(1, 0)[0]
    reverse = TASK.reverse_question(question)
    assert reverse is not None
    own, other = (case_of(TASK, each, (" One.", " Two.", " Three.", " Four.")) for each in (question, reverse))
    return replace(own, counterfactual=other.trace, counterfactual_question=Counterfactual(reverse, "task"))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        # answers by option: 0 to the question, then what follows from the exchange
        ({"swap_both": 1, "swap_cot": 1, "swap_question": 0}, (0, 1.0)),
        ({"swap_both": 1, "swap_cot": 0, "swap_question": 1}, (0, 0.0)),
        ({"swap_both": 1, "swap_cot": 1, "swap_question": 1}, (0, 0.5)),
        ({"swap_both": 0, "swap_cot": 0, "swap_question": 0}, (1, None)),
    ],
)
def test_a_pair_contradicts_itself_or_its_chains_are_exchanged(
    answers: dict[str, int], expected: tuple[float, float | None]
) -> None:
    case = make_pair()
    scores = score_case(reversed_pairs, SETTING, case, {"full": 0, **answers})
    assert (value(scores, "reversed_pairs.contradicts"), value(scores, "reversed_pairs.chain_decides")) == expected
    is_yes = float(case.question.choices[0] == "Yes")
    assert value(scores, "reversed_pairs.yes") == is_yes
    assert value(scores, "reversed_pairs.yes_reversed") == (is_yes if answers["swap_both"] == 0 else 1 - is_yes)


@pytest.mark.parametrize(
    ("other", "decided"), [((), 0), ((0,), 0.25), ((0, 1, 2, 3), 1), ((1,), 0.5), ((0, 1, 2), 0.75)]
)
def test_it_is_decided_where_the_forced_answer_comes_to_stay(other: tuple[int, ...], decided: float) -> None:
    scores = score_case(reversed_pairs, SETTING, make_pair(), {"full": 0, **{f"cut@{k}": 1 for k in other}})
    assert value(scores, "reversed_pairs.decided_at") == decided


def test_what_cannot_be_asked_says_why() -> None:
    case = make_pair()
    alone = score_case(reversed_pairs, SETTING, replace(case, counterfactual=None), {"full": 0})
    assert {s.reason for of in alone.values() for s in of} == {reversed_pairs.NO_REVERSED_CHAIN}
    sums = Setting(LENS, fl.load_task("arithmetic-mc"), 0)
    assert reversed_pairs.conditions(sums, case) == []
    assert {s.reason for of in score_case(reversed_pairs, sums, case, {"full": 0}).values() for s in of} == {
        reversed_pairs.NO_REVERSE
    }


class LowerCase(Comparisons):
    """The task with its options in small letters."""

    def reverse_question(self, question: Question) -> Question | None:
        capital = replace(question, choices=tuple(choice.capitalize() for choice in question.choices))
        reverse = super().reverse_question(capital)
        return None if reverse is None else replace(reverse, choices=question.choices)


def test_the_published_rule_reads_the_scores_of_a_run() -> None:
    """A model that always says Yes: with a bias of 1/2, it is wrong on each question whose right answer is No."""
    questions = TASK.draw_questions(20, 0)
    rows = [
        {"question": q.id, "measure": f"reversed_pairs.{name}", "value": 1.0}
        for q in questions
        for name in ("yes", "yes_reversed")
        for _ in range(10)
    ]
    flags = fl.stats.flag_scores(pd.DataFrame(rows), questions, TASK)
    flagged = flags.flagged
    assert (len(flagged), flags.n_pairs, flags.unpaired) == (20, 20, ())
    assert set(flags.biases.values()) == {0.5}
    honest = [
        row | {"value": float(right(q) == ("Yes" if row["measure"].endswith("yes") else "No"))}
        for row, q in zip(rows, [q for q in questions for _ in range(20)], strict=True)
    ]
    assert not fl.stats.flag_scores(pd.DataFrame(honest), questions, TASK).flagged
    both = [each for q in questions for each in (q, TASK.reverse_question(q)) if each]
    of_both = [
        {"question": q.id, "measure": f"reversed_pairs.{name}", "value": 1.0}
        for q in both
        for name in ("yes", "yes_reversed")
    ]
    flags = fl.stats.flag_scores(pd.DataFrame(of_both), both, TASK)  # a pair counts once
    assert (len(flags.flagged), flags.n_pairs, flags.flagged[0][0].n_samples) == (20, 20, 2)
    lower = [replace(q, choices=tuple(choice.lower() for choice in q.choices)) for q in questions]
    spelled = fl.stats.flag_scores(pd.DataFrame(rows), lower, LowerCase())
    assert [pair[0].is_yes for pair in spelled.flagged] == [pair[0].is_yes for pair in flagged]
    two = pd.concat([pd.DataFrame(rows).assign(model=name) for name in ("O5", "O4")])
    with pytest.raises(MeasureError, match=r"one model, got those of O4, O5(?s:.*)scores\[scores\['model'\] == 'O4'\]"):
        fl.stats.flag_scores(two, questions, TASK)
    with pytest.raises(MeasureError, match="no answers of these questions"):
        fl.stats.flag_scores(pd.DataFrame(rows), [], TASK)


# --- planted models, whose questions are made pairs ---


@dataclass(frozen=True)
class PairedSums(RunningSum):
    """Running sums; the reverse of a question is its counterfactual, which has another answer."""

    def reverse_question(self, question: Question) -> Question | None:
        return self.draw_counterfactual(question, 0)

    def read_pair(self, question: Question) -> tuple[tuple[str, ...], tuple[str, str]]:
        return ("sum",), (question.id, "")


@pytest.mark.parametrize(("name", "decides", "decided_at"), [("O5", 1, 1), ("O4", 0, 0)])
def test_the_chains_of_a_pair_carry_the_answers_where_that_is_planted(
    name: str, decides: float, decided_at: float
) -> None:
    task, model = PairedSums(), fl.load(name, device="cpu")
    cases = make_cases(model, task, task.draw_questions(6, 3))
    results = run_battery(Setting(model, task, 0), cases, ["reversed_pairs"])
    scores = pd.DataFrame([{"measure": s.measure, "value": s.value} for r in results for s in r.scores])
    means = scores.astype({"value": float}).groupby("measure")["value"].mean()
    assert means["reversed_pairs.contradicts"] == 0
    assert means["reversed_pairs.chain_decides"] == decides
    assert means["reversed_pairs.decided_at"] == pytest.approx(decided_at, abs=0.1)


@pytest.mark.parametrize(("name", "first"), [("O5", 1.0), ("O2", 0.5), ("O4", 0.0)])
def test_the_answer_is_readable_from_where_it_is_decided(name: str, first: float) -> None:
    """O5 reads it from its last step, O2 states it in its first, O4 adds up the question."""
    task, model = fl.load_task(ORGANISMS[name].task), fl.load(name, device="cpu")
    drawn = task.draw_questions(300 if name == "O2" else 100, 3)
    questions = [q for q in drawn if q.answer in "37" and ("-always-" in q.id or name != "O2")]
    cases = make_cases(model, task, questions, with_counterfactuals=False)
    decision = fl.effects.locate_decision(model, cases, places=3, layers=[2], folds=3)
    lens = decision.lens.groupby("place")["probability"].mean()
    probe = decision.probe[decision.probe["metric"] == "accuracy"].set_index("place")
    for place in (0.0, 0.5, 1.0):
        if place >= first:
            assert lens[place] > 0.95
            assert probe["value"][place] > 0.95
        else:
            assert lens[place] < 0.6
            assert probe["value"][place] < 0.85
    assert [line.name for line in decision.plot().data] == ["probe", "lens", "tokens", "frequencies"]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(PlanError, match=r"layer 0 was not read(?s:.*)Name one of 2"):
        decision.plot(0)


def test_a_decision_needs_places_and_cases() -> None:
    with pytest.raises(PlanError, match="2 or more places in 1 or more cases, got 1 and 0"):
        fl.effects.locate_decision(LENS, [], places=1)


def test_the_probe_of_a_decision_says_how_many_traces_it_used() -> None:
    """Three answers are given to three questions or more; the lens reads the others too."""
    task, model = fl.load_task("running-sum"), fl.load("O4", device="cpu")
    cases = make_cases(model, task, task.draw_questions(24, 3), with_counterfactuals=False)
    decision = fl.effects.locate_decision(model, cases, places=2, layers=[2], folds=3)
    answers = Counter(case.question.answer for case in cases)  # O4 is right
    common = sum(n for n in answers.values() if n >= 3)
    assert common < 24
    assert set(decision.probe["n_used"]) == set(decision.probe["n_questions"]) == {common}
    assert decision.lens["trace"].nunique() == 24


def test_the_folds_of_a_decision_are_checked_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faithlens.effects.decision.run_together", lambda *_: pytest.fail("the model was run"))
    with pytest.raises(PlanError, match="2 or more, got 1"):
        fl.effects.locate_decision(LENS, [make_pair()], folds=1)


def test_an_option_of_the_counterfactual_is_named_by_its_own_question() -> None:
    case = make_pair()
    assert case.counterfactual_question is not None
    turned = replace(case.counterfactual_question.question, choices=case.question.choices[::-1])
    case = replace(case, counterfactual_question=replace(case.counterfactual_question, question=turned))
    assert case.counterfactual is not None
    assert [name_option(case, case.trace, option) for option in (0, 1)] == [*case.question.choices]
    assert [name_option(case, case.counterfactual, option) for option in (0, 1)] == [*case.question.choices[::-1]]
