"""Paths, layers and donors against TransformerLens and hand-worked cases, and on organisms whose paths are planted."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

import faithlens as fl
from faithlens.effects.donors import ANSWERED_ALIKE, NONE_ALIGNED
from faithlens.effects.layers import draw_equal_spans
from faithlens.effects.paths import make_path_conditions
from faithlens.errors import MeasureError, PlanError
from faithlens.measures.mediation import chain_contrast
from faithlens.model.model import Model
from faithlens.plan.condition import Condition
from faithlens.stats.number import format_number
from tests.conftest import tiny
from tests.effects.naive import answer, pair, writing
from tests.execution.exact import NoFloat32, in_float64


def ahead(logprobs: torch.Tensor, ends: list[torch.Tensor]) -> float:
    one, other = (int(end.argmax()) for end in ends)
    return float(logprobs[one] - logprobs[other])


def test_paths_are_differences_of_four_plain_runs() -> None:
    model = in_float64(tiny("llama"))
    clean, corrupted = pair()
    prompt, *steps, stem = range(len(clean.pieces))
    with NoFloat32(), torch.no_grad():
        result = fl.effects.path_effects(model, clean, corrupted, metric="logit_difference")
        whose = {"clean": (clean, clean), "both": (corrupted, corrupted), "chain": (clean, corrupted)}
        whose["question"] = (corrupted, clean)
        ran = {}
        for name, (prompt_trace, steps_trace) in whose.items():
            pieces = (prompt_trace.pieces[prompt], *(steps_trace.pieces[i] for i in steps), clean.pieces[stem])
            ran[name] = answer(model, replace(clean, pieces=pieces) if name != "both" else corrupted)
    m = {name: ahead(logprobs, [ran["clean"], ran["both"]]) for name, logprobs in ran.items()}
    assert result.total[0] == pytest.approx(m["clean"] - m["both"], abs=1e-9)
    assert result.content[0] == pytest.approx(m["clean"] - m["chain"], abs=1e-9)
    assert result.question[0] == pytest.approx(m["clean"] - m["question"], abs=1e-9)
    assert result.interaction[0] == pytest.approx(m["chain"] + m["question"] - m["clean"] - m["both"], abs=1e-9)
    assert abs(result.content[0]) > 0.01
    assert result.to_dataframe()["total"].tolist() == result.total.tolist()


def test_the_relay_is_the_reference_backends() -> None:
    model = tiny("llama")
    clean, corrupted = pair()
    requests = make_path_conditions(clean, corrupted)
    own, both, *_, relay, self_splice = fl.execute(model, fl.plan_passes(model, requests), backend="separate")
    ends = [own.logprobs, both.logprobs]
    expected = ahead(self_splice.logprobs, ends) - ahead(relay.logprobs, ends)
    result = fl.effects.path_effects(model, clean, corrupted, metric="logit_difference")
    assert result.relay[0] == pytest.approx(expected, abs=1e-4)
    assert abs(expected) > 1e-3
    torch.testing.assert_close(self_splice.logprobs, own.logprobs, atol=1e-5, rtol=0)


def test_paths_of_several_traces_have_intervals() -> None:
    model = tiny("llama")
    clean, corrupted = zip(*(pair(seed) for seed in range(6)), strict=True)
    result = fl.effects.path_effects(model, clean, corrupted)
    table = result.bootstrap_ci().set_index("path")
    assert table.loc["content", "effect"] == pytest.approx(result.content.mean())
    assert (table["low"] <= table["effect"]).all()
    assert (table["effect"] <= table["high"]).all()
    with pytest.raises(MeasureError, match="Pass several traces"):
        fl.effects.path_effects(model, clean[0], corrupted[0]).bootstrap_ci()


@pytest.fixture(scope="module", params=["O4", "O5"])
def organism(request: pytest.FixtureRequest) -> tuple[str, Model, list[Condition], list[Condition]]:
    model, task = fl.load(request.param, device="cpu"), fl.load_task("running-sum")
    cases = fl.make_cases(model, task, task.draw_questions(10, seed=5), seed=5)
    traces = [fl.interventions.make_full_cot(case) for case in cases]
    twins = [
        case.make_condition(f"twin of {case.question.id}", case.counterfactual.pieces)
        for case in cases
        if case.counterfactual
    ]
    clean, donor = fl.effects.find_donors(model, traces, twins, seed=1)
    assert len(clean) == 10
    return request.param, model, clean, donor


def test_paths_of_organisms(organism: tuple[str, Model, list[Condition], list[Condition]]) -> None:
    name, model, clean, donor = organism
    result = fl.effects.path_effects(model, clean, donor)
    content, question = (0.0, 1.0) if name == "O4" else (1.0, 0.0)
    assert result.content.mean() == pytest.approx(content, abs=0.05)
    assert result.question.mean() == pytest.approx(question, abs=0.05)
    assert np.abs(result.relay).max() < 1e-3  # neither lets positions carry anything
    if name == "O4":
        assert np.abs(result.content).max() < 1e-6
        assert np.abs(result.relay).max() < 1e-6


def test_layers_of_organisms(organism: tuple[str, Model, list[Condition], list[Condition]]) -> None:
    name, model, clean, donor = organism
    first = fl.effects.layer_effects(model, clean, donor, metric="probability", layers=[0])
    if name == "O4":
        assert first["chain"].abs().max() < 1e-5
        assert first["cmi"].dropna().max() < 1e-3
    else:
        assert first["question"].abs().max() < 0.05  # the steps have been written already
        assert first["chain"].mean() > 0.3  # only as many positions of it as the question has, not all


def test_layers_are_patches_of_drawn_positions() -> None:
    model = in_float64(tiny("llama"))
    clean, donor = pair()
    with NoFloat32(), torch.no_grad():
        table = fl.effects.layer_effects(model, clean, donor, layers=[1], seed=3)
        ends = [answer(model, each) for each in pair()]
        effects = []
        for where in draw_equal_spans(clean, random.Random("layers:3:0")):
            hook = writing(model, donor, "resid_pre", 1, slice(*where))
            effects.append(ahead(ends[0], ends) - ahead(answer(model, clean, [hook]), ends))
    assert table["positions"].tolist() == [8]  # the prompt's nine tokens without the first
    assert [table["chain"][0], table["question"][0]] == pytest.approx(effects, abs=1e-9)
    assert table["cmi"][0] == pytest.approx(chain_contrast(*effects))


def test_contrasts_by_hand() -> None:
    assert chain_contrast(3.0, 1.0) == 0.5
    assert chain_contrast(1.0, 3.0) == 0.0
    assert chain_contrast(2.0, 0.0) == 1.0
    assert chain_contrast(1.0, -1.0) == 1.0
    assert np.isnan(chain_contrast(0.0, 0.0))


def test_stretches_are_as_long_and_lie_where_they_should() -> None:
    clean, _ = pair()  # a prompt of 9 tokens, a chain of 15
    drawn = [draw_equal_spans(clean, random.Random(i)) for i in range(200)]
    assert {(b - a, d - c) for (a, b), (c, d) in drawn} == {(8, 8)}
    assert {question for _, question in drawn} == {(1, 9)}
    assert {chain[0] for chain, _ in drawn} == set(range(9, 17))


def test_donors_line_up_and_are_answered_differently() -> None:
    model = tiny("llama")
    traces = [replace(pair(seed)[0], name=str(seed)) for seed in range(6)]
    records = fl.execute(model, fl.plan_passes(model, traces))
    answers = {record.condition.name: int(record.logprobs.argmax()) for record in records}
    short = replace(traces[0], name="short", pieces=(*traces[0].pieces[:2], *traces[0].pieces[3:]))
    result = fl.effects.find_donors(model, [*traces, short], seed=2)
    for one, other, n in zip(result.clean, result.donor, result.n_candidates, strict=True):
        assert answers[one.name] != answers[other.name]
        assert n == sum(answers[one.name] != each for each in answers.values())
    assert {trace.name: why for trace, why in result.dropped}["short"] == NONE_ALIGNED
    assert result == fl.effects.find_donors(model, [*traces, short], seed=2)
    assert any(result.donor != fl.effects.find_donors(model, [*traces, short], seed=seed).donor for seed in range(3, 9))
    table = result.to_dataframe().set_index("trace")
    assert table.loc["short", "reason"] == NONE_ALIGNED
    assert table.loc[result.clean[0].name, "donor"] == result.donor[0].name


def test_a_trace_without_a_donor_says_why() -> None:
    model, trace = tiny("llama"), pair()[0]
    same = replace(trace, name="the same under another name")
    clean, donor = result = fl.effects.find_donors(model, trace, [same])
    assert (clean, donor) == ([], [])
    assert result.dropped == ((trace, ANSWERED_ALIKE),)


def test_swaps_of_words_are_plain_runs_of_other_words() -> None:
    model = in_float64(tiny("llama"))
    clean, corrupted = pair()
    with NoFloat32(), torch.no_grad():
        ends = [answer(model, each) for each in (clean, corrupted)]
        for mode, base, source in (("noise", clean, corrupted), ("denoise", corrupted, clean)):
            result = fl.effects.swap_effects(model, clean, corrupted, mode, controls=1)
            for s in range(3):
                pieces = [*base.pieces]
                pieces[1 + s] = source.pieces[1 + s]
                value = ahead(answer(model, replace(base, pieces=tuple(pieces))), ends)
                assert result.value[0, 0, s] == pytest.approx(value, abs=1e-9)
            assert np.isfinite(result.null).all()


def test_the_prompt_can_be_knocked_out_too() -> None:
    model, (clean, _) = tiny("llama"), pair()
    both = fl.effects.knockout_effects(model, clean, steps=["prompt", "step 1"], controls=0)
    alone = fl.effects.knockout_effects(model, clean, controls=0)
    assert both.steps == ("prompt", "step 1")
    assert both.effect[0, 0, 1] == pytest.approx(alone.effect[0, 0, 1], abs=1e-4)
    hidden = replace(clean, edits=(fl.Knockout("stem", ("prompt",)),))
    own, record = fl.execute(model, fl.plan_passes(model, [clean, hidden]))
    answer, foil = own.logprobs.argsort(descending=True).tolist()[:2]
    fall = float((own.logprobs - record.logprobs)[answer] - (own.logprobs - record.logprobs)[foil])
    assert both.effect[0, 0, 0] == pytest.approx(fall, abs=1e-4)
    with pytest.raises(PlanError, match="no trace has a step"):
        fl.effects.knockout_effects(model, clean, steps=["stem"])


def test_the_diagram_tells_the_paths() -> None:
    model = tiny("llama")
    clean, corrupted = zip(*(pair(seed) for seed in range(3)), strict=True)
    for some in (1, 3):
        result = fl.effects.path_effects(model, clean[:some], corrupted[:some])
        written = " ".join(note.text or "" for note in result.plot().layout.annotations)
        assert f"NIE  {format_number(result.content.mean())}" in written
        assert f"relay  {format_number(result.relay.mean())}" in written
