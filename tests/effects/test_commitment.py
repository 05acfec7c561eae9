"""The probe on planted features, on organisms whose answers come from a known place, and against TransformerLens."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import faithlens as fl
from faithlens.effects.commitment import evaluate_probes, make_accuracy_statistic, make_auc_statistic, split_last_token
from faithlens.errors import MeasureError, PlanError
from faithlens.execution.execute import execute
from faithlens.measures.probe import (
    assign_folds,
    bag_of_tokens,
    compare_class_pairs,
    predict_by_frequency,
    predict_with_probe,
)
from faithlens.model.trace import Piece
from faithlens.plan.capture import Capture, Site
from faithlens.plan.condition import Condition
from faithlens.tasks.running_sum import DIGITS, STEM, compute_totals, write_steps
from tests.conftest import tiny
from tests.execution.test_edits import CLEAN, DONOR, FAR

N = 200
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, N)
OWN = np.arange(N)  # each trace its own question
NOISE = RNG.normal(size=(N, 24))
SIGNAL = NOISE + 8 * np.outer(2 * LABELS - 1, RNG.normal(size=24) / np.sqrt(24))


def test_what_is_separable_is_read_and_noise_is_not() -> None:
    table = evaluate_probes({0: SIGNAL, 1: NOISE}, NOISE, LABELS, OWN, 5, 0).set_index(["metric", "layer"])
    for metric in ("accuracy", "auc"):
        assert table.loc[(metric, 0), "value"] == 1
        assert table.loc[(metric, 0), "excess_low"] > 0.3
        assert abs(table.loc[(metric, 1), "value"] - 0.5) < 0.12
        assert table.loc[(metric, 1), "excess_low"] < 0
        assert abs(table.loc[(metric, 1), "excess"]) < 0.12
    assert table.loc[("auc", 0), "prior"] == 0.5
    assert table.loc[("accuracy", 0), "low"] == pytest.approx(0.025 ** (1 / N), abs=1e-4)  # exact, all of 200 right
    assert table.loc[("accuracy", 0), "high"] == 1


def test_an_answer_that_the_text_gives_away_is_no_commitment() -> None:
    table = evaluate_probes({0: SIGNAL}, SIGNAL, LABELS, OWN, 5, 0)
    assert table["excess"].tolist() == [0, 0]
    assert table["text"].tolist() == [1, 1]


def test_frequent_answers_are_the_bar_to_clear() -> None:
    """One answer in nine cases of ten: a probe of noise does no better than saying it always."""
    labels = (np.arange(N) % 10 == 0).astype(int)
    table = evaluate_probes({0: NOISE}, NOISE, labels, OWN, 5, 0).set_index("metric")
    assert table.loc["accuracy", "prior"] == pytest.approx(0.9)
    assert table.loc["accuracy", "excess"] <= 0


def test_copies_of_a_question_help_nothing() -> None:
    """Four copies of fifty random questions with random answers: a probe that saw a copy would know the answer."""
    questions = np.repeat(np.arange(50), 4)
    features, labels = np.repeat(RNG.normal(size=(50, 80)), 4, axis=0), np.repeat(np.arange(50) % 2, 4)
    leaky = predict_with_probe(features, labels, assign_folds(labels, OWN, 5, 0)).argmax(1) == labels
    fold = assign_folds(labels, questions, 5, 0)
    honest = predict_with_probe(features, labels, fold).argmax(1) == labels
    assert leaky.mean() > 0.95
    assert honest.mean() < 0.65
    assert all(len(set(fold[questions == q])) == 1 for q in range(50))
    table = evaluate_probes({0: features}, features, labels, questions, 5, 0).set_index("metric")
    assert table.loc["accuracy", "high"] - table.loc["accuracy", "low"] > 0.2  # fifty observations, not two hundred


def test_nothing_of_a_held_out_question_is_seen() -> None:
    """A fold is judged by the scale and the weights of the others, however far away its own features are moved."""
    fold = assign_folds(LABELS, OWN, 5, 0)
    moved = NOISE.copy()
    moved[fold == 2] += 1000
    assert np.bincount(fold).tolist() == [40] * 5
    training = NOISE[fold != 2]
    mean, deviation = training.mean(0), training.std(0)
    model = LogisticRegression(C=0.1, max_iter=2000).fit((training - mean) / deviation, LABELS[fold != 2])
    for features in (NOISE, moved):
        held_out = predict_with_probe(features, LABELS, fold)[fold == 2]
        expected = model.predict_proba((features[fold == 2] - mean) / deviation)
        np.testing.assert_allclose(held_out, expected, atol=1e-4)


def test_auc_and_accuracy_are_those_of_scikit_learn_fold_by_fold() -> None:
    fold = assign_folds(LABELS, OWN, 2, 0)
    result = predict_with_probe(NOISE, LABELS, fold)
    won, exist = compare_class_pairs(result, LABELS, fold)
    sizes = [exist[fold == f].sum() for f in range(2)]
    per_fold = [roc_auc_score(LABELS[fold == f], result[fold == f, 1]) for f in range(2)]
    whole = np.append(np.ones(N), 0.0)[None]
    assert won.sum() / exist.sum() == pytest.approx(np.average(per_fold, weights=sizes))
    assert make_auc_statistic(result, LABELS, OWN, fold)(whole, 1.0)[0] == pytest.approx(
        np.average(per_fold, weights=sizes)
    )
    assert make_accuracy_statistic(result, LABELS, OWN)(whole, 1.0)[0] == (result.argmax(1) == LABELS).mean()
    assert predict_by_frequency(LABELS, fold)[fold == 0, 1] == pytest.approx(LABELS[fold == 1].mean())


def test_a_bag_counts_tokens() -> None:
    assert bag_of_tokens([(7, 5, 7), (), (9,)]).tolist() == [[1, 2, 0], [0, 0, 0], [0, 0, 1]]


def test_the_activations_are_those_of_transformer_lens() -> None:
    model = tiny("llama")
    for trace in (CLEAN, FAR):
        split = split_last_token(trace, "prompt", "end")
        assert split.ids == trace.ids
        capture = Capture(activations=tuple(Site("resid_post", layer, "end") for layer in range(3)))
        [record] = execute(model, fl.plan_passes(model, [split]), capture)
        _, cache = model.bridge.run_with_cache(torch.tensor([trace.ids]))
        for layer in range(3):
            expected = cache[f"blocks.{layer}.hook_resid_post"][0, trace.locate("prompt")[1] - 1]
            result = record.activations[Site("resid_post", layer, "end")]
            torch.testing.assert_close(result, expected[None], atol=1e-4, rtol=1e-4)


def make_crossed_trace(model: fl.Model, question_operands: Sequence[str], chain_operands: Sequence[str]) -> Condition:
    """One question under a right chain of thought about another, in the organisms' own words."""
    task = fl.load_task("running-sum")
    question = task.make_question([int(x) for x in question_operands])
    prompt = task.make_prompt(question, "cot")
    ids = list(model.encode_prompt(model.render(prompt.user, prompt.prefill)))
    pieces = [Piece("prompt", tuple(ids))]
    operands = [int(x) for x in chain_operands]
    texts = {f"step {i}": text for i, text in enumerate(write_steps(operands, compute_totals(operands)))} | {
        "stem": STEM.text
    }
    for name, text in texts.items():
        pieces.append(Piece(name, tuple(model.continue_ids(ids, text))))
        ids += pieces[-1].ids
    options = tuple(tuple(model.continue_ids(ids, digit)) for digit in DIGITS)
    return Condition(f"{question_operands} told {chain_operands}", tuple(pieces), options)


ASKED = ["".join(q.id.split("-")[2:]) for q in fl.load_task("running-sum").draw_questions(250, seed=1)]
TOLD = [*ASKED[1:], ASKED[0]]


@pytest.mark.parametrize(("name", "source"), [("O4", ASKED), ("O5", TOLD)])
def test_organisms_answer_from_where_they_are_made_to(name: str, source: list[str]) -> None:
    """Question and chain of thought are of different sums. What no row can have seen, no probe can read there.

    O4's answer cannot see the chain, O5's cannot see the question, and no prompt can see the chain after it. The last
    block's stream at the last token is what the answer is read from, so there it must be readable.
    """
    model = fl.load(name, device="cpu")
    traces = [
        make_crossed_trace(model, question_operands, chain_operands)
        for question_operands, chain_operands in zip(ASKED, TOLD, strict=True)
    ]
    other = TOLD if source is ASKED else ASKED
    sums = {id(x): [sum(map(int, operands)) % 10 for operands in x] for x in (source, other)}
    own = fl.effects.probe_commitment(model, traces, at="stem")
    assert dict(own.classes) == {answer: sums[id(source)].count(answer) for answer in own.classes}
    last = own.table.iloc[-1]
    assert (last["layer"], last["value"]) == (2, pytest.approx(1, abs=0.03))
    assert last["excess_low"] > 0.6  # beyond a bag of all tokens, which knows the totals that the steps state
    unseen = fl.effects.probe_commitment(model, traces, sums[id(other)], at="stem").table
    assert (unseen["value"] < 0.2).all()
    assert (unseen["excess_low"] < 0).all()
    before = fl.effects.probe_commitment(
        model, traces, [sum(map(int, chain_operands)) % 10 for chain_operands in TOLD]
    ).table
    assert (before["value"] < 0.2).all()
    if name == "O5":  # its answer is the chain's, which its prompt cannot have seen
        assert fl.effects.probe_commitment(model, traces).table["value"].tolist() == before["value"].tolist()
        assert own.table["value"].min() > 0.97


def test_rare_answers_are_dropped_and_said() -> None:
    model = tiny("llama")
    traces = [replace(CLEAN, pieces=(Piece("prompt", (9, 10 + i)), *CLEAN.pieces[1:])) for i in range(13)]
    result = fl.effects.probe_commitment(model, traces, ["a"] * 6 + ["b"] * 6 + ["c"], folds=3, layers=[1])
    assert result.dropped == {12: "'c' is the answer to 1 questions, and there are 3 folds"}
    assert (result.n_used, result.n_questions, dict(result.classes)) == (12, 12, {"a": 6, "b": 6})
    assert result.table[["metric", "layer"]].to_numpy().tolist() == [["accuracy", 1], ["auc", 1]]
    line = result.plot().data[1]
    np.testing.assert_allclose(np.array(line.y, dtype=float), result.table["value"][:1])


def test_what_cannot_be_probed_is_refused() -> None:
    model = tiny("llama")
    with pytest.raises(MeasureError, match="'a' 2 times"):
        fl.effects.probe_commitment(model, [CLEAN, DONOR], ["a", "a"])
    with pytest.raises(MeasureError, match="fewer than two answers are given to 5 questions or more"):
        fl.effects.probe_commitment(model, [CLEAN] * 12, ["a", "b"] * 6, groups=["one"] * 6 + ["two"] * 6)
    with pytest.raises(PlanError, match="3 labels and 2 traces"):
        fl.effects.probe_commitment(model, [CLEAN, DONOR], ["a", "a", "b"])
    with pytest.raises(PlanError, match=r"Pass unedited traces, such as trace\.clean"):
        fl.effects.probe_commitment(model, [replace(CLEAN, edits=(fl.Knockout("stem", ("step 0",)),))])
    with pytest.raises(PlanError, match="piece 'step 9'"):
        fl.effects.probe_commitment(model, [CLEAN], at="step 9")
