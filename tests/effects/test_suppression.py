"""The step-to-step matrix, heads and gradient flow against TransformerLens, and on organisms."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

import faithlens as fl
from faithlens.effects.approximation import ApproximationQuality, assess_approximation
from faithlens.effects.suppression import draw_earlier_span
from faithlens.errors import MeasureError
from tests.conftest import tiny
from tests.effects.naive import STEPS, answer, hiding, logits, pair, writing
from tests.execution.exact import NoFloat32, in_float64


def test_the_matrix_is_that_of_full_logits() -> None:
    model = in_float64(tiny("llama"))
    clean, _ = pair()
    with NoFloat32(), torch.no_grad():
        result = fl.effects.suppression_effects(model, clean, controls=1, seed=4)
        log_p = logits(model, clean.ids).log_softmax(-1)
        for s, step in enumerate(STEPS):
            start, stop = clean.spans[step]
            log_q = logits(model, clean.ids, hiding(model, slice(stop, None), slice(start, stop))).log_softmax(-1)
            kl = (log_p.exp() * (log_p - log_q)).sum(-1)
            for r, reader in enumerate(result.readers):
                a, b = clean.spans[reader]
                if a >= stop:
                    assert result.value[0, r, s] == pytest.approx(float(kl[a:b].mean()), rel=1e-6)  # kept in float32
                    assert result.null[0, r, s] > 0
                else:
                    assert np.isnan(result.value[0, r, s])
    assert result.readers == (*STEPS, "stem")
    assert np.nanmax(result.value) > 1e-3
    assert len(result.to_dataframe()) == 3 + 2 + 1


def test_random_stretches_lie_before_the_readers() -> None:
    clean, _ = pair()
    drawn = {draw_earlier_span(clean, "step 1", random.Random(i)) for i in range(200)}
    assert {stop - start for start, stop in drawn} == {4}
    assert min(start for start, _ in drawn) == 1
    assert max(stop for _, stop in drawn) == clean.spans["step 1"][1]


def test_hiding_the_steps_of_o4_moves_no_answer() -> None:
    model, task = fl.load("O4", device="cpu"), fl.load_task("running-sum")
    cases = fl.make_cases(model, task, task.draw_questions(3, seed=2), seed=2)
    traces = [fl.interventions.make_full_cot(case) for case in cases]
    result = fl.effects.suppression_effects(model, traces)
    at = result.readers.index("stem")
    # the stem's first row opens the answer; it and the rest see no step
    assert np.nanmax(result.value[:, at]) < 1e-9
    assert np.nanmax(result.value[:, :at]) > 0.1  # but each step reads the one before it


@pytest.mark.parametrize("mode", ["denoise", "noise"])
def test_heads_are_patches_of_single_heads(mode: str) -> None:
    model = in_float64(tiny("llama"))
    clean, donor = pair()
    with NoFloat32(), torch.no_grad():
        result = fl.effects.head_effects(model, clean, donor, mode, top=4, n_checked=20, midpoints=20)
        ends = [answer(model, each) for each in (clean, donor)]
        one, other = (int(end.argmax()) for end in ends)
        base, source = (donor, clean) if mode == "denoise" else (clean, donor)
        unedited = ends[1] if mode == "denoise" else ends[0]
        sign = 1 if mode == "denoise" else -1
        measured = np.argwhere(np.isfinite(result.exact[0]))
        assert len(measured) == 18
        for layer, head in measured:
            hook = writing(model, source, "z", layer, slice(*base.spans["stem"]), head)
            moved = answer(model, base, [hook]) - unedited
            effect = sign * float(moved[one] - moved[other])
            assert result.exact[0, layer, head] == pytest.approx(effect, abs=1e-9)
    assert result.quality == assess_approximation(result.approximate, result.exact)
    whole = replace(
        base,
        edits=tuple(fl.Patch("z", "stem", source, layers=(layer,), heads=tuple(range(6))) for layer in range(3)),
    )
    ran = fl.execute(tiny("llama"), fl.plan_passes(tiny("llama"), [base, whole]))
    moved = (ran[1].logprobs - ran[0].logprobs).double()
    assert result.approximate.sum() == pytest.approx(sign * float(moved[one] - moved[other]), rel=0.03, abs=0.02)


def test_the_strongest_heads_are_patched() -> None:
    model, (clean, donor) = tiny("llama"), pair()
    result = fl.effects.head_effects(model, clean, donor, top=3, n_checked=2)
    strongest = np.argsort(-np.abs(result.approximate[0]), axis=None)[:3]
    assert np.isfinite(result.exact[0].ravel()[strongest]).all()
    assert np.isfinite(result.exact).sum() == 5
    good = replace(result, quality=ApproximationQuality(5, 1.0, 1.0, 1.0, 1.0))
    assert good.rank_heads()["approximate"].abs().is_monotonic_decreasing
    with pytest.raises(MeasureError, match="in 50% of 5 cells"):
        replace(result, quality=ApproximationQuality(5, 0.0, 0.0, 0.5, 0.0)).rank_heads()


def test_gradient_flow_and_its_audit() -> None:
    model, (clean, _) = tiny("llama"), pair()
    result = fl.effects.measure_gradient_flow(model, clean, n_checked=18)
    own = answer(model, clean)
    one, other = own.argsort(descending=True).tolist()[:2]
    exact = []
    for layer in range(3):
        for head in range(6):

            def zero(z: torch.Tensor, hook: object, head: int = head) -> torch.Tensor:
                z = z.clone()
                z[:, -1, head] = 0
                return z

            without = answer(model, clean, [(f"blocks.{layer}.attn.hook_z", zero)])
            exact.append(float((own - without)[one] - (own - without)[other]))
    worth = result.table.groupby(["layer", "head"])["worth"].sum().to_numpy()
    by_hand = assess_approximation(worth.reshape(1, 1, -1), np.reshape(exact, (1, 1, -1)))
    assert result.quality.n_cells == 18
    assert result.quality.sign_agreement == pytest.approx(by_hand.sign_agreement)
    assert result.quality.pearson == pytest.approx(by_hand.pearson, abs=1e-4)
    assert list(result.table.columns) == ["trace", "layer", "head", "piece", "worth"]
    with pytest.raises(MeasureError, match="at least 80%"):
        replace(result, quality=ApproximationQuality(18, 0.0, 0.0, 0.5, 0.0)).to_dataframe()


def test_matrix_and_heads_are_drawn() -> None:
    model, (clean, donor) = tiny("llama"), pair()
    matrix = fl.effects.suppression_effects(model, clean, controls=0)
    drawn = np.array(matrix.plot().data[0].z, dtype=float)
    assert drawn.shape == (4, 4)
    np.testing.assert_allclose(drawn[1:, :3], matrix.value[0][1:])
    assert np.isnan(drawn[0]).all()
    assert np.isnan(drawn[:, 3]).all()
    heads = fl.effects.head_effects(model, clean, donor, top=2, n_checked=1)
    drawn = np.array(heads.plot().data[0].z, dtype=float)
    np.testing.assert_allclose(drawn, heads.exact[0])
