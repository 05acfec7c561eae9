"""Step effects against TransformerLens run cell by cell, and on organisms whose steps do what is planted."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

import faithlens as fl
from faithlens.effects.approximation import assess_approximation
from faithlens.effects.experiment import list_traces, select_layers
from faithlens.errors import MeasureError, PlanError
from faithlens.model.model import Model
from faithlens.plan.condition import Component, Condition
from tests.conftest import call_unchecked, tiny
from tests.effects.naive import STEPS, hiding, pair, writing
from tests.effects.naive import answer as answer_of
from tests.execution.exact import NoFloat32, in_float64


@pytest.mark.parametrize("mode", ["denoise", "noise"])
@pytest.mark.parametrize("component", ["resid_pre", "attn_out", "z"])
def test_the_grid_is_that_of_transformer_lens_cell_by_cell(component: Component, mode: str) -> None:
    model = in_float64(tiny("llama"))
    clean, corrupted = pair()
    with NoFloat32(), torch.no_grad():
        result = fl.effects.patch_effects(model, clean, corrupted, f"hook_{component}", mode)
        ends = [answer_of(model, c) for c in (clean, corrupted)]
        answer, foil = (int(x.argmax()) for x in ends)
        clean_ld, corrupted_ld = (float(x[answer] - x[foil]) for x in ends)
        for layer in range(3):
            for s, step in enumerate(STEPS):
                base, source = (corrupted, clean) if mode == "denoise" else (clean, corrupted)
                hook = writing(model, source, component, layer, slice(*base.spans[step]))
                logprobs = answer_of(model, base, [hook])
                value = float(logprobs[answer] - logprobs[foil])
                effect = value - corrupted_ld if mode == "denoise" else clean_ld - value
                assert result.value[0, layer, s] == pytest.approx(value, abs=1e-9)
                assert result.effect[0, layer, s] == pytest.approx(effect, abs=1e-9)
                assert result.normalised[0, layer, s] == pytest.approx(effect / (clean_ld - corrupted_ld), abs=1e-9)
    assert result.layers == ("0", "1", "2")
    assert result.steps == STEPS
    assert np.abs(result.effect).max() > 0.01


@pytest.mark.parametrize("metric", ["probability", "kl"])
def test_other_metrics(metric: str) -> None:
    model = tiny("llama")
    clean, corrupted = pair()
    result = fl.effects.patch_effects(model, clean, corrupted, layers=[1], metric=metric)
    ends = [record.logprobs.softmax(-1) for record in fl.execute(model, fl.plan_passes(model, [clean, corrupted]))]
    answer = int(ends[0].argmax())
    if metric == "probability":
        expected = [float(p[answer]) for p in ends]
    else:
        expected = [0.0, -float((ends[0] * (ends[0] / ends[1]).log()).sum())]
    assert [result.clean[0], result.corrupted[0]] == pytest.approx(expected, abs=1e-6)


def test_patching_everything_recovers_everything() -> None:
    """In the first layer all tokens that differ are in the steps, so patching all of them is the other run."""
    model = tiny("llama")
    clean, corrupted = pair()
    corrupted = replace(corrupted, pieces=(clean.pieces[0], *corrupted.pieces[1:-1], clean.pieces[-1]))
    whole = tuple(fl.Patch("resid_pre", step, clean, layers=(0,)) for step in STEPS)
    first, recovered = fl.execute(model, fl.plan_passes(model, [clean, replace(corrupted, edits=whole)]))
    torch.testing.assert_close(first.logprobs, recovered.logprobs, atol=1e-5, rtol=0)
    result = fl.effects.attribution_effects(model, clean, corrupted, midpoints=200)
    assert result.effect.sum() == pytest.approx(float(result.clean[0] - result.corrupted[0]), rel=0.02)


def test_knockouts_and_their_null() -> None:
    model = in_float64(tiny("llama"))
    clean, _ = pair()
    with NoFloat32(), torch.no_grad():
        result = fl.effects.knockout_effects(model, clean, controls=3)
        plain = answer_of(model, clean)
        answer, foil = plain.argsort(descending=True).tolist()[:2]
        for s, step in enumerate(STEPS):
            rows = slice(*clean.spans["stem"])
            logprobs = answer_of(model, clean, hiding(model, rows, slice(*clean.spans[step])))
            fall = float((plain[answer] - plain[foil]) - (logprobs[answer] - logprobs[foil]))
            assert result.effect[0, 0, s] == pytest.approx(fall, abs=1e-9)
    assert result.layers == ("all",)
    assert np.isfinite(result.null).all()
    assert np.isnan(result.normalised).all()  # there is no other run to be on the way to
    assert (fl.effects.knockout_effects(tiny("llama"), clean, controls=0).to_dataframe()["null"].isna()).all()


def test_splices_are_those_of_the_reference() -> None:
    """TransformerLens, run on a cache in which the donor's keys and values have been put."""
    model = tiny("llama")
    clean, corrupted = pair()
    result = fl.effects.key_value_effects(model, clean, corrupted, controls=1)
    edits = [replace(clean, edits=(fl.KeyValuePatch("stem", step, corrupted),)) for step in STEPS]
    plan = fl.plan_passes(model, [clean, corrupted, *edits])
    own, other, *spliced = fl.execute(model, plan, backend="separate")
    answer, foil = int(own.logprobs.argmax()), int(other.logprobs.argmax())
    ahead = [float(record.logprobs[answer] - record.logprobs[foil]) for record in (own, *spliced)]
    assert result.effect[0, 0].tolist() == pytest.approx([ahead[0] - each for each in ahead[1:]], abs=1e-4)
    assert np.abs(result.effect).max() > 1e-2
    assert np.isfinite(result.null).all()


def test_several_traces_and_their_intervals() -> None:
    model = tiny("llama")
    pairs = [pair(seed) for seed in range(6)]
    clean, corrupted = [c for c, _ in pairs], [d for _, d in pairs]
    result = fl.effects.patch_effects(model, clean, corrupted, layers=[0, 2], metric="probability")
    alone = [fl.effects.patch_effects(model, c, d, layers=[0, 2], metric="probability") for c, d in pairs]
    np.testing.assert_allclose(result.effect, np.concatenate([one.effect for one in alone]), atol=1e-6)
    table = result.bootstrap_ci()
    assert list(table.columns) == ["layer", "step", "effect", "low", "high", "n", "reason"]
    np.testing.assert_allclose(table["effect"], result.effect.mean(0).ravel(), atol=1e-12)
    assert (table["low"] < table["effect"]).all()
    assert (table["effect"] < table["high"]).all()
    assert len(result.to_dataframe()) == 6 * 2 * 3
    with pytest.raises(MeasureError, match="Pass several traces"):
        alone[0].bootstrap_ci()


def test_approximations_with_wrong_signs_are_not_shown() -> None:
    exact = np.array([[[1.0, -2.0, 3.0, 0.001]]])
    good = assess_approximation(np.array([[[0.5, -1.0, 1.5, -1.0]]]), exact)
    assert (good.n_cells, good.sign_agreement, good.top_overlap) == (4, 1.0, 1.0)  # the last has no sign to speak of
    bad = assess_approximation(np.array([[[0.5, 1.0, 1.5, 0.0]]]), exact)
    assert bad.sign_agreement == pytest.approx(2 / 3)
    assert assess_approximation(1e-5 * exact, -1e-6 * exact).sign_agreement == 1  # rounding of nothing
    assert assess_approximation(exact, 1e-6 * exact).sign_agreement < 0.5  # something made of nothing
    model = tiny("llama")
    result = fl.effects.attribution_effects(model, *pair(), midpoints=1)
    assert result.quality is not None
    with pytest.raises(MeasureError, match="signs agree with exact patching in 67% of 4 cells"):
        replace(result, quality=bad).to_dataframe()
    with pytest.raises(MeasureError):
        replace(result, quality=bad).plot()


def test_the_audit_is_against_exact_patches_of_the_same_cells() -> None:
    model = tiny("llama")
    clean, corrupted = pair()
    result = fl.effects.attribution_effects(model, clean, corrupted, layer=2, midpoints=50)
    exact = fl.effects.patch_effects(model, clean, corrupted, layers=[2])
    assert result.quality == assess_approximation(result.effect, exact.effect)
    assert result.quality.pearson == pytest.approx(np.corrcoef(result.effect.ravel(), exact.effect.ravel())[0, 1])


@pytest.mark.parametrize("mode", ["denoise", "noise"])
def test_attributions_have_the_sign_of_patches(mode: str) -> None:
    model = tiny("llama")
    clean, corrupted = pair()
    corrupted = replace(corrupted, pieces=(*clean.pieces[:2], corrupted.pieces[2], *clean.pieces[3:]))  # one step
    result = fl.effects.attribution_effects(model, clean, corrupted, midpoints=200, mode=mode)
    exact = fl.effects.patch_effects(model, clean, corrupted, layers=[0], mode=mode)
    assert result.effect[0, 0, 1] == pytest.approx(exact.effect[0, 0, 1], rel=0.02)
    assert result.effect[0, 0, 0] == pytest.approx(0, abs=1e-6)
    assert result.quality is not None
    assert result.quality.sign_agreement == 1


def test_attributions_keep_the_edits_of_the_runs() -> None:
    """Of a run that cannot see the attributed step, which then has no effect, neither exact nor approximate."""
    model = tiny("llama")
    hidden = (fl.Knockout("stem", ("step 0",)), fl.Knockout("step 1", ("step 0",)), fl.Knockout("step 2", ("step 0",)))
    clean, corrupted = (replace(each, edits=hidden) for each in pair())
    result = fl.effects.attribution_effects(model, clean, corrupted, steps=["step 0"], midpoints=3)
    assert np.abs(result.effect).max() < 1e-5


REFUSALS: dict[str, tuple[Callable[[Model, Condition, Condition], object], str]] = {
    "an unknown site": (lambda model, c, d: fl.effects.patch_effects(model, c, d, "resid_mid"), "Did you mean 'resid_"),
    "an unknown step": (
        lambda model, c, d: fl.effects.patch_effects(model, c, d, steps=["step 7"]),
        "no trace has a step",
    ),
    "an unknown layer": (lambda model, c, d: fl.effects.patch_effects(model, c, d, layers=[3]), "from 0 to 2, got 3"),
    "no trace": (lambda model, c, d: fl.effects.knockout_effects(model, []), "at least one trace"),
    "one name for a list of steps": (lambda model, c, d: fl.effects.patch_effects(model, c, d, steps="step 1"), "Pass"),
    "one number for a list of layers": (lambda model, c, d: call_unchecked(select_layers, model, 1), r"Pass \[1\]"),
    "a name for a trace": (lambda model, c, d: call_unchecked(list_traces, ["full"]), "got str"),
    "a list for one trace": (
        lambda model, c, d: call_unchecked(fl.effects.compare_activations, model, [c], d),
        "must be a Condition, got list",
    ),
    "the same answer": (
        lambda model, c, d: fl.effects.patch_effects(model, c, replace(c, name="again")),
        "another answer",
    ),
    "other lengths": (
        lambda model, c, d: fl.effects.key_value_effects(model, c, replace(d, pieces=(*d.pieces[:2], *d.pieces[3:]))),
        "'step 1' has 4 tokens, and 'step 2' of the donor 6",
    ),
    "too few donors": (lambda model, c, d: fl.effects.patch_effects(model, [c, c], d), "2 clean and 1 corrupted"),
    "other options": (
        lambda model, c, d: fl.effects.patch_effects(model, c, replace(d, options=((1,), (2,)))),
        "other options",
    ),
}


@pytest.mark.parametrize("case", sorted(REFUSALS))
def test_what_cannot_be_measured_is_refused(case: str) -> None:
    ask, words = REFUSALS[case]
    with pytest.raises(PlanError, match=words):
        ask(tiny("llama"), *pair())


@pytest.fixture(scope="module")
def organisms() -> dict[str, tuple[Model, list[Condition], list[Condition]]]:
    """Cases of O4 and O5 beside their twins, where the two are answered differently."""
    out = {}
    for name in ("O4", "O5"):
        model, task = fl.load(name, device="cpu"), fl.load_task("running-sum")
        setting_questions = task.draw_questions(12, seed=5)
        cases = fl.make_cases(model, task, setting_questions, seed=5)
        clean = [fl.interventions.make_full_cot(case) for case in cases if case.counterfactual]
        corrupted = [case.make_condition("twin", case.counterfactual.pieces) for case in cases if case.counterfactual]
        records = fl.execute(model, fl.plan_passes(model, [*clean, *corrupted]))
        differ = [
            int(a.logprobs.argmax()) != int(b.logprobs.argmax())
            for a, b in zip(records[: len(clean)], records[len(clean) :], strict=True)
        ]
        assert sum(differ) >= 6
        out[name] = (
            model,
            [c for c, d in zip(clean, differ, strict=True) if d],
            [c for c, d in zip(corrupted, differ, strict=True) if d],
        )
    return out


def test_the_steps_of_o4_do_nothing_in_any_layer(organisms: dict) -> None:
    model, clean, corrupted = organisms["O4"]
    for result in (
        fl.effects.patch_effects(model, clean, corrupted, mode="noise"),
        fl.effects.key_value_effects(model, clean, corrupted, controls=0),
        fl.effects.knockout_effects(model, clean, controls=0),
    ):
        assert np.nanmax(np.abs(result.effect)) < 1e-4  # nats of rounding; the edges do not exist


def test_the_answer_of_o5_is_in_its_last_step(organisms: dict) -> None:
    """It is trained to say what the last step states: the rest fixed, exchanging that one exchanges the answer."""
    model, clean, corrupted = organisms["O5"]
    last = clean[0].pieces[-2].name
    for mode in ("denoise", "noise"):
        result = fl.effects.patch_effects(model, clean, corrupted, mode=mode, layers=[0])
        normalised = np.nanmean(result.normalised[:, 0], 0)
        assert normalised[result.steps.index(last)] > 0.9
        assert np.abs(np.delete(normalised, result.steps.index(last))).max() < 0.1
    spliced = fl.effects.key_value_effects(model, clean, corrupted, metric="probability", controls=0)
    assert np.nanmean(spliced.effect[:, 0, -1]) > 0.9
    assert np.nanmean(np.abs(spliced.effect[:, 0, :-1])) < 0.1


def test_the_grid_of_o5_finds_its_last_step(organisms: dict) -> None:
    """The planted model says what its last step states: the strongest cell is exact, and its effect is all there is."""
    model, clean, corrupted = organisms["O5"]
    grid = fl.effects.adaptive_patch_effects(model, clean, corrupted, mode="noise", top=4, n_checked=6)
    full = fl.effects.patch_effects(model, clean, corrupted, mode="noise")
    assert grid.is_exact is not None
    np.testing.assert_allclose(grid.effect[:, grid.is_exact], full.effect[:, grid.is_exact], atol=1e-4)
    layer, step = np.unravel_index(np.nanmean(np.abs(full.effect), 0).argmax(), grid.is_exact.shape)
    assert grid.is_exact[layer, step]
    assert grid.steps[step] == clean[0].pieces[-2].name
