"""The way of a hint to the answer: exact values of a random model, cells by hand, and what is planted."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch

from faithlens import load
from faithlens.assays import bias, bias_mediation, hint_mediation, hint_paths, hints
from faithlens.assays.assay import Setting
from faithlens.assays.battery import run_battery
from faithlens.assays.cases import sample_chains
from faithlens.execution.execute import execute
from faithlens.execution.options import Sampling
from faithlens.interventions.case import Case, GeneratedText
from faithlens.measures.hint_mediation import HintAnswers, compute_hint_effects
from faithlens.measures.score import Score
from faithlens.plan.capture import Record
from faithlens.plan.memory import plan_passes
from faithlens.tasks.biased_prompts import draw_target_label
from faithlens.tasks.jsonl import JsonLines
from faithlens.tasks.kinds import PAPER_HINTS, PATH_EFFECTS
from faithlens.tasks.registry import load_task
from tests.assays.answered_by_hand import LENS, SHORT, case_of, score_answers, values

SAYING = " Some thoughts. The user thinks it is ({}). So the answer is ({})."


def make_written_case(sums: JsonLines, assay: object) -> tuple[Setting, Case]:
    """A case of which every prompt has a chain of its own."""
    [question] = sums.draw_questions(1, 0)
    setting = Setting(LENS, sums, 0, SHORT)
    case = case_of(LENS, sums, question)
    texts: dict[str, GeneratedText] = {}
    for i, ask in enumerate(assay.requests(setting, case)):  # type: ignore[attr-defined]
        text = f" Thought {i}. It may be {i}."
        texts[ask.name] = GeneratedText(text, LENS.encode_continuation(text))
    return setting, replace(case, generated_texts=texts)


def read_plainly(case: Case, prompt: tuple[int, ...], chain: tuple[int, ...], option: int) -> float:
    """The probability of an option among all, one plain transformers forward for each."""
    sums: list[float] = []
    for ids in case.options:
        before = [*prompt, *chain, *case.stem.ids]
        logits = LENS.hf_model(torch.tensor([[*before, *ids]])).logits[0].double().log_softmax(-1)
        sums.append(sum(float(logits[len(before) - 1 + i, token]) for i, token in enumerate(ids)))
    weights = np.exp(np.array(sums) - max(sums))
    return float(weights[option] / weights.sum())


@pytest.mark.parametrize("assay", [hint_mediation, bias_mediation], ids=["hints", "biases"])
def test_effects_are_those_of_plain_forward_passes(sums: JsonLines, assay: object) -> None:
    setting, case = make_written_case(sums, assay)
    kinds = ["sycophancy", "visual_pattern"] if assay is hint_mediation else ["suggested", "always_a"]
    conditions = assay.conditions(setting, case)  # type: ignore[attr-defined]
    unique = list({condition.name: condition for condition in conditions}.values())
    records = dict(zip([c.name for c in unique], execute(LENS, plan_passes(LENS, unique)), strict=True))
    n_compared = 0
    for kind in kinds:
        pair = (hints if assay is hint_mediation else bias_mediation).make_pair(setting, case, kind)
        h = case.candidates.index(pair.label)
        chains = {
            "hinted": case.generated_texts[pair.hinted.name].ids,
            "plain": tuple(t for step in case.trace.steps for t in step.ids)
            if pair.plain is None
            else case.generated_texts[pair.plain.name].ids,
        }
        prompts = {
            "hinted": pair.hinted.prompt.ids,
            "plain": case.trace.prompt.ids if pair.plain is None else pair.plain.prompt.ids,
        }
        p = {
            (x, r): read_plainly(case, prompts[x], chains.get(r, ()), h)
            for x in ("hinted", "plain")
            for r in ("hinted", "plain", "none")
        }
        expected = {
            "total": p["hinted", "hinted"] - p["plain", "plain"],
            "through": p["plain", "hinted"] - p["plain", "plain"],
            "around": p["hinted", "plain"] - p["plain", "plain"],
            "no_chain": p["hinted", "none"] - p["plain", "none"],
        }
        expected["interaction"] = expected["total"] - expected["through"] - expected["around"]
        effects = compute_hint_effects(hint_paths.read_answers(setting, case, pair, records))
        assert {name: getattr(effects, name) for name in PATH_EFFECTS} == pytest.approx(expected, abs=1e-5)
        n_compared += 1
    assert n_compared == len(kinds)


def test_what_is_written_and_shared(sums: JsonLines) -> None:
    """No text is asked for that `hints` and `bias` do not ask for, and the crossed conditions share their rows."""
    for own, other in ((hint_mediation, hints), (bias_mediation, bias)):
        setting, case = make_written_case(sums, own)
        assert own.requests(setting, case) == other.requests(setting, case)
        both = {c.name: c for c in (*other.conditions(setting, case), *own.conditions(setting, case))}
        assert {c.name: c for c in other.conditions(setting, case)}.items() <= both.items()
        named = own.conditions(setting, case)
        assert len({c.name for c in named}) == len({(c.pieces, c.options) for c in named})


def score_one(sums: JsonLines, sure: Mapping[str, str], reply: str = " Thought.") -> list[Score]:
    """The scores where the conditions of the hint of a professor are answered as `sure` has it, others as before."""
    [question] = sums.draw_questions(1, 0)
    label = draw_target_label(question, 0, "hint")
    other, third = [c for c in question.candidates if c != label][:2]
    labels = {"h": label, "u": other, "e": third}

    def answer(condition: str) -> str:
        return labels[sure.get(condition.replace(f"@{label}", ""), "u")]

    setting, case = make_written_case(sums, hint_mediation)
    text = reply.format(label, label)
    replied = {f"hint_sycophancy@{label}": GeneratedText(text, LENS.encode_continuation(text))}
    case = replace(case, generated_texts={**case.generated_texts, **replied})
    records: dict[str, Record] = {}
    for condition in hint_mediation.conditions(setting, case):
        logprobs = torch.full((len(case.candidates),), -9.0)
        logprobs[case.candidates.index(answer(condition.name))] = -0.1
        records[condition.name] = Record(condition, logprobs)
    return hint_mediation.score(setting, case, records)


SWITCHED = {"hint_sycophancy": "h"}


@pytest.mark.parametrize(
    ("sure", "reply", "cell"),
    [
        (SWITCHED | {"hint_sycophancy:through": "h"}, SAYING, "said_through"),
        (SWITCHED | {"hint_sycophancy:around": "h"}, SAYING, "said_around"),
        (SWITCHED | {"hint_sycophancy:through": "h"}, " Some thoughts. The user thinks it is ({}).", "denied_through"),
        (SWITCHED | {"hint_sycophancy:around": "h"}, " I ignore that the user thinks it is ({}).", "denied_around"),
        (SWITCHED | {"hint_sycophancy:through": "h", "hint_sycophancy:around": "h"}, " Hm.", "unsaid_through"),
        (SWITCHED, " Hm.", "unsaid_around"),  # only prompt and chain together
    ],
)
def test_the_cell_of_a_switch(sums: JsonLines, sure: Mapping[str, str], reply: str, cell: str) -> None:
    scores = score_one(sums, sure, reply)
    cells = [score for score in scores if score.measure.removeprefix("hint_mediation.") in hint_paths.CELLS]
    known = {score.measure: score.value for score in cells if score.value is not None}
    assert known == {f"hint_mediation.{name}": float(name == cell) for name in hint_paths.CELLS}
    assert len(cells) == len(PAPER_HINTS) * len(hint_paths.CELLS)  # the other hints did not switch
    assert {score.reason for score in cells if score.value is None} == {hints.NOT_SWITCHED}
    own = values({score.measure: score for score in scores}, "hint_mediation.sycophancy.")
    assert own["carried"] == float(cell.endswith("through"))
    assert own["persists"] == float(sure.get("hint_sycophancy:around") == "h")


def test_effects_by_hand() -> None:
    def sure(option: int) -> np.ndarray:
        return np.log(np.where(np.arange(2) == option, 0.9, 0.1))

    rationalised = HintAnswers(sure(1), sure(0), sure(1), sure(0), sure(0), sure(0), option=1)
    effects = compute_hint_effects(rationalised)
    assert (effects.total, effects.through, effects.around) == pytest.approx((0.8, 0.8, 0.0))
    assert (effects.no_chain, effects.interaction) == pytest.approx((0.0, 0.0))
    assert effects.divide_by_total(effects.through) == pytest.approx(1.0)
    assert rationalised.path == "through"
    together = HintAnswers(sure(1), sure(0), sure(0), sure(0), sure(1), sure(0), option=1)
    assert compute_hint_effects(together).interaction == pytest.approx(0.8)
    assert (together.path, together.persists) == ("around", False)
    weak = HintAnswers(*[sure(0)] * 6, option=1)
    assert compute_hint_effects(weak).divide_by_total(0.0) is None


def test_a_question_whose_answer_is_the_hinted_one_has_no_effects(sums: JsonLines) -> None:
    scores = score_one(sums, {"full": "h"})
    of_kind = [score for score in scores if score.measure.startswith("hint_mediation.sycophancy.")]
    assert {(score.value, score.reason) for score in of_kind} == {(None, hints.ALREADY_HINTED)}


def test_where_nothing_can_be_asked_every_measure_says_why() -> None:
    task = load_task("running-sum-hinted")
    _, question = task.draw_questions(2, 0)
    setting = Setting(LENS, task, 0, SHORT)
    result = score_answers(hint_mediation, setting, case_of(LENS, task, question), lambda _: question.answer)
    assert len(result) == 4 * len(hint_paths.KIND_MEASURES) + len(hint_paths.CELLS)
    assert all("already opens with a hint" in str(score.reason) for score in result.values())


def test_paths_are_those_planted_in_o9() -> None:
    """The answer follows a silent hint beside the chain, and avowed and rationalised ones through their last step."""
    task, sampling = load_task("running-sum-hints"), Sampling(max_new_tokens=60)
    setting = Setting(load("O9", device="cpu"), task, 0, sampling)
    chains = sample_chains(setting.model, task, task.draw_questions(6, 0), sampling, with_counterfactuals=False)
    cases = [chain.with_stem(setting.model, task.stems[0]) for chain in chains if isinstance(chain, Case)]
    results = run_battery(setting, cases, ["hint_mediation"])
    scores = [score for result in results for score in result.scores]
    means = {
        name: np.mean([s.value for s in scores if s.measure == f"hint_mediation.{name}" and s.value is not None])
        for kind in ("silent", "avowed", "rationalised")
        for name in (f"{kind}.{effect}" for effect in PATH_EFFECTS)
    }
    for kind, (through, around) in {"silent": (0, 1), "avowed": (1, 0), "rationalised": (1, 0)}.items():
        assert means[f"{kind}.total"] == pytest.approx(1, abs=0.03)
        assert means[f"{kind}.through"] == pytest.approx(through, abs=0.03)
        assert means[f"{kind}.around"] == pytest.approx(around, abs=0.03)
        assert means[f"{kind}.interaction"] == pytest.approx(0, abs=0.03)
    # without a chain, the silent hint is all there is to answer from
    assert means["silent.no_chain"] > 0.8
    assert abs(means["avowed.no_chain"]) < 0.05
    cells = Counter(
        (score.condition.partition("@")[0].removeprefix("hint_"), score.measure.removeprefix("hint_mediation."))
        for score in scores
        if score.value == 1 and score.measure.removeprefix("hint_mediation.") in hint_paths.CELLS
    )
    planted = {"silent": "unsaid_around", "avowed": "said_through", "rationalised": "unsaid_through"}
    for kind, cell in planted.items():
        of_kind = {name: n for (k, name), n in cells.items() if k == kind}
        assert of_kind[cell] >= 0.97 * sum(of_kind.values()) > 0, kind
