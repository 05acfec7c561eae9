"""Readiness, attention and flow, and distances, against TransformerLens by hand; and the pictures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import faithlens as fl
from faithlens.errors import PlanError
from tests.conftest import tiny
from tests.effects.naive import OPTIONS, pair


def test_readiness_is_the_logit_lens() -> None:
    model = tiny("llama")
    clean, _ = pair()
    result = fl.effects.measure_readiness(model, clean).set_index(["piece", "layer"])["probability"]
    logits, cache = model.bridge.run_with_cache(torch.tensor([clean.ids]))
    answer = int(logits[0, -1, [o[0] for o in OPTIONS]].argmax())
    for piece, (_, stop) in clean.spans.items():
        for layer in range(3):
            stream = cache[f"blocks.{layer}.hook_resid_post"][:, stop - 1 : stop]
            looked = model.bridge.unembed(model.bridge.ln_final(stream))[0, 0, [o[0] for o in OPTIONS]].softmax(-1)
            assert result[piece, layer] == pytest.approx(float(looked[answer]), abs=1e-5)


def test_options_that_begin_alike_have_no_readiness() -> None:
    clean, _ = pair()
    with pytest.raises(PlanError, match="begin with the same token"):
        fl.effects.measure_readiness(tiny("llama"), replace(clean, options=((60, 61), (60, 62))))


def test_onset_is_where_the_answer_stays() -> None:
    rows = [(0, name, 0, p) for name, p in zip("abcd", (0.9, 0.1, 0.6, 0.7), strict=True)]
    rows += [(0, name, 1, p) for name, p in zip("abcd", (0.9, 0.8, 0.6, 0.7), strict=True)]
    rows += [(0, name, 2, p) for name, p in zip("abcd", (0.9, 0.8, 0.6, 0.2), strict=True)]
    result = fl.effects.find_onset(pd.DataFrame(rows, columns=["trace", "piece", "layer", "probability"]))
    assert result["piece"].tolist() == ["c", "a", pd.NA]


def test_attention_and_flow_are_those_of_the_full_patterns() -> None:
    model = tiny("llama")
    clean, _ = pair()
    result = fl.effects.measure_attention_flow(model, clean).set_index(["layer", "head", "piece"])
    _, cache = model.bridge.run_with_cache(torch.tensor([clean.ids]))
    for piece, (a, b) in clean.spans.items():
        mass = cache["blocks.1.attn.hook_pattern"][0, :, -1, a:b].sum(-1)
        assert result.loc[(1, 4, piece), "attention"] == pytest.approx(float(mass[4]), abs=1e-6)
    sums = result["attention"].groupby(["layer", "head"]).sum()
    np.testing.assert_allclose(sums, 1, atol=1e-5)
    values = cache["blocks.2.attn.hook_v"][0].repeat_interleave(3, 1)[:, 5]  # two key heads serve six
    pattern, w_o = cache["blocks.2.attn.hook_pattern"][0, 5, -1], model.bridge.blocks[2].attn.W_O[5]
    a, b = clean.spans["step 1"]
    expected = float((pattern[a:b] @ values[a:b] @ w_o).norm())
    assert result.loc[(2, 5, "step 1"), "flow"] == pytest.approx(expected, rel=1e-4)
    with pytest.raises(PlanError, match="unknown reader of 'clean' 'step 9'"):
        fl.effects.measure_attention_flow(model, clean, "step 9")


def test_comparison_with_an_edited_trace() -> None:
    model = tiny("llama")
    clean, corrupted = pair()
    result = fl.effects.compare_activations(model, clean, corrupted).set_index(["layer", "piece"])
    streams = [
        model.bridge.run_with_cache(torch.tensor([c.ids]))[1]["blocks.1.hook_resid_post"][0] for c in (clean, corrupted)
    ]
    a, b = clean.spans["step 2"]
    mine, theirs = streams[1][a:b], streams[0][a:b]
    cosine = torch.cosine_similarity(mine, theirs, dim=-1).mean()
    assert result.loc[(1, "step 2"), "cosine"] == pytest.approx(float(cosine), abs=1e-5)
    distance = ((mine - theirs).norm(dim=-1) / theirs.norm(dim=-1)).mean()
    assert result.loc[(1, "step 2"), "relative_l2"] == pytest.approx(float(distance), rel=1e-4)


def test_the_pictures_show_the_numbers() -> None:
    model = tiny("llama")
    patched = fl.effects.patch_effects(model, *pair())
    drawn = patched.plot().data[0]
    np.testing.assert_allclose(np.array(drawn.z, dtype=float), patched.effect[0])
    assert drawn.zmin == -drawn.zmax
    hidden = fl.effects.knockout_effects(model, pair()[0], controls=2)
    step, null = hidden.plot().data
    np.testing.assert_allclose(np.array(step.y, dtype=float), hidden.effect[0, 0])
    np.testing.assert_allclose(np.array(null.y, dtype=float), hidden.null[0, 0])


def test_one_layer_of_several_traces_is_drawn_with_its_intervals() -> None:
    pairs = [(0.0, 2.0), (1.0, 4.0), (2.0, np.nan), (3.0, 5.0), (2.5, 1.0), (0.5, 3.0)]
    effect = np.array([[pair] for pair in pairs])
    nothing = np.full_like(effect, np.nan)
    ends = np.zeros(6)
    result = fl.effects.StepEffects(
        "knockout", None, "kl", ("all",), ("step 0", "step 1"), ends, ends, effect, nothing, 0
    )
    [bars] = result.plot().data
    assert list(bars.y) == [1.5, 3.0]
    table = result.bootstrap_ci()
    assert (bars.y - bars.error_y.arrayminus).tolist() == pytest.approx(table["low"].tolist())
    assert (bars.y + bars.error_y.array).tolist() == pytest.approx(table["high"].tolist())
    assert (table["low"] < bars.y).all()
