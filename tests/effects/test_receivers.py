"""Receiver heads: hand-worked scores, a planted head, and TransformerLens' own patterns pooled by hand."""

import random

import numpy as np
import pytest
import torch

import faithlens as fl
from faithlens.effects.receivers import draw_first_half
from faithlens.errors import MeasureError, PlanError
from faithlens.measures.receivers import head_kurtosis, vertical_scores
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition
from tests.conftest import tiny


def trace(seed: int, steps: int = 10) -> Condition:
    rng = random.Random(seed)
    sizes = {"prompt": 7, **{f"step {i}": rng.randrange(2, 6) for i in range(steps)}}
    pieces = [Piece(name, tuple(rng.randrange(10, 250) for _ in range(n))) for name, n in sizes.items()]
    return Condition(f"trace {seed}", (*pieces, Piece("stem", (5, 100, 101))), ((65,), (66,)))


def even(steps: int, heads: int = 1) -> np.ndarray:
    """Every step looks at itself and at every step before it alike."""
    mass = np.tril(np.ones((steps, steps)))
    return np.tile(mass / mass.sum(1, keepdims=True), (1, heads, 1, 1))


def test_vertical_scores_are_worked_by_hand() -> None:
    """Four steps, readers from two on: step 0 is read by steps 2 and 3, step 1 by step 3 alone."""
    mass = np.array([[[[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.2, 0.3, 0.5, 0], [0.4, 0.1, 0.2, 0.3]]]])
    scores = vertical_scores(mass, np.array([2, 5, 1, 1]), min_distance=2)
    np.testing.assert_allclose(scores, [[[(0.2 + 0.4) / 2 / 2, 0.1 / 5]]], atol=1e-7)
    assert vertical_scores(mass, np.array([2, 5, 1, 1]), min_distance=4).shape == (1, 1, 0)


def test_kurtosis_is_worked_by_hand() -> None:
    """One peak among n numbers has the kurtosis (n^2 - 3 n + 3) / (n - 1) - 3; halves at two ends have -2."""
    one = np.zeros(7)
    one[2] = 0.4
    two = np.array([1.0, 1, 1, 0, 0, 0, 0.5])
    result = head_kurtosis(np.stack([one, two, 0.1 + 0 * one])[None])
    assert result[0, 0] == pytest.approx((49 - 21 + 3) / 6 - 3)
    assert result[0, 1] == pytest.approx(6 * 0.5**4 / 7 / (6 * 0.5**2 / 7) ** 2 - 3)
    assert np.isnan(result[0, 2])  # it reads all steps alike
    assert np.isnan(head_kurtosis(np.random.default_rng(0).random((1, 1, 3)))).all()


def test_a_planted_receiver_head_is_found() -> None:
    """Of five heads that look back evenly, give or take noise, one spends half of its attention on step 3."""
    mass = even(14, heads=5) * (0.8 + 0.4 * np.random.default_rng(0).random((1, 5, 14, 14)))
    mass[0, 2] *= 0.5
    mass[0, 2, 4:, 3] += 0.5
    scores = vertical_scores(mass, np.full(14, 6))
    assert int(scores[0, 2].argmax()) == 3
    peaks = head_kurtosis(scores)[0]
    assert peaks.argmax() == 2
    assert peaks[2] > 3 + np.delete(peaks, 2).max()


def naive(model: fl.Model, condition: Condition, ignore: int) -> np.ndarray:
    """Vertical scores the slow way: means over blocks of TransformerLens' full attention patterns."""
    _, cache = model.bridge.run_with_cache(torch.tensor([condition.ids]))
    steps = [condition.spans[piece.name] for piece in condition.pieces[1:-1]]
    out = np.zeros((3, 6, len(steps) - ignore))
    for layer in range(3):
        pattern = cache[f"blocks.{layer}.attn.hook_pattern"][0].double().numpy()
        for head in range(6):
            for s, (a, b) in enumerate(steps[: len(steps) - ignore]):
                blocks = [pattern[head, c:d, a:b].mean() for c, d in steps[s + ignore :]]
                out[layer, head, s] = np.mean(blocks)
    return out


def test_the_numbers_are_those_of_transformer_lens() -> None:
    model, traces = tiny("llama"), [trace(seed) for seed in range(4)]
    result = fl.effects.find_receiver_heads(model, traces, top=3, first_layer=0)
    scores = np.stack([naive(model, one, 4) for one in traces])
    peaks = np.stack([head_kurtosis(one) for one in scores])
    np.testing.assert_allclose(result.heads["kurtosis"], peaks.mean(0).ravel(), atol=1e-4)
    first = draw_first_half(np.arange(4), 0)
    chosen, held_out = peaks[first].mean(0).ravel(), peaks[~first].mean(0).ravel()
    np.testing.assert_allclose(result.heads["chosen"], chosen, atol=1e-4)
    np.testing.assert_allclose(result.heads["held_out"], held_out, atol=1e-4)
    strongest = np.argsort(-chosen)[:3]
    assert sorted(strongest) == result.heads.index[result.heads["selected"]].tolist()
    assert result.reliability.halves == pytest.approx(np.corrcoef(chosen, held_out)[0, 1], abs=1e-4)
    expected = scores[~first].reshape(2, 18, 6)[:, strongest].mean(1)
    np.testing.assert_allclose(result.steps["score"], expected.ravel(), atol=1e-6)
    assert result.steps["step"].tolist() == [f"step {i}" for i in range(6)] * 2
    assert set(result.steps["trace"]) == set(np.flatnonzero(~first))
    dropped = fl.effects.find_receiver_heads(model, traces, top=3).heads
    assert set(dropped["layer"]) == {1, 2}
    np.testing.assert_allclose(dropped["kurtosis"], peaks.mean(0)[1:].ravel(), atol=1e-4)
    np.testing.assert_allclose(np.array(result.plot().data[0].z, dtype=float), peaks.mean(0), atol=1e-4)


def test_short_traces_are_dropped_and_halves_are_of_questions() -> None:
    model = tiny("llama")
    traces = [trace(0), trace(1), trace(2, steps=7), trace(3)]
    result = fl.effects.find_receiver_heads(model, traces, top=3, groups=["a", "a", "b", "b"])
    assert result.dropped == {2: "7 steps, and at least 8 are needed"}
    assert set(result.steps["trace"]) in ({0, 1}, {3})
    assert (result.heads["n"] == 3).all()
    halves = draw_first_half(np.array([0, 0, 1, 1, 2, 2, 3, 3]), 5)
    assert halves.sum() == 4
    assert (halves[::2] == halves[1::2]).all()


def test_what_cannot_be_measured_is_refused() -> None:
    model = tiny("llama")
    with pytest.raises(MeasureError, match="8 steps, got 1 of 2 questions"):
        fl.effects.find_receiver_heads(model, [trace(0), trace(1, steps=5)])
    with pytest.raises(MeasureError, match="12 heads whose kurtosis is defined"):
        fl.effects.find_receiver_heads(model, [trace(0), trace(1)])
    with pytest.raises(PlanError, match="2 traces and 1 groups"):
        fl.effects.find_receiver_heads(model, [trace(0), trace(1)], groups=["a"])
