"""Names of sites: each accepted name gives the activation that TransformerLens gives for this name."""

import pytest
import torch

from faithlens.errors import PlanError
from faithlens.execution.execute import execute
from faithlens.plan.capture import Capture, Site
from faithlens.plan.condition import Component
from faithlens.plan.plan import compile_plan
from faithlens.plan.sites import HOOK_NAMES, MODULE_NAMES, UNNORMED_NAMES, find_place
from tests.conftest import tiny
from tests.execution.test_edits import CLEAN

NAMES = [hook.format(1) for hook in HOOK_NAMES.values()] + [
    f"blocks.1.{name}" for name in (*MODULE_NAMES, *UNNORMED_NAMES)
]
NORMED = ("gemma2", "olmo2")


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", *NORMED])
def test_a_name_is_what_transformer_lens_calls_so(family: str) -> None:
    model = tiny(family)
    names = [name for name in NAMES if not (family in NORMED and name.removeprefix("blocks.1.") in UNNORMED_NAMES)]
    seen: dict[str, torch.Tensor] = {}

    def keep(x: torch.Tensor, hook: object, name: str) -> None:
        seen[name] = x[0].flatten(1)

    hooks = [(name, lambda x, hook, name=name: keep(x, hook, name)) for name in names]
    model.bridge.run_with_hooks(torch.tensor([CLEAN.ids]), fwd_hooks=hooks)
    sites = [Site.from_hook_name(name, "step 1", model) for name in names]
    [record] = execute(model, compile_plan([CLEAN]), Capture(activations=tuple(sites)))
    start, stop = CLEAN.spans["step 1"]
    for name, site in zip(names, sites, strict=True):
        torch.testing.assert_close(record.activations[site], seen[name][start:stop], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("family", NORMED)
def test_what_is_normed_before_it_is_added_has_another_name(family: str) -> None:
    with pytest.raises(PlanError, match="norms the output at the site"):
        Site.from_hook_name("blocks.1.attn.hook_out", "step 1", tiny(family))


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("resid_pre", ("resid_pre", None)),
        ("hook_mlp_out", ("mlp_out", None)),
        ("attn.hook_z", ("z", None)),
        ("blocks.3.hook_mlp_out", ("mlp_out", 3)),
        ("blocks.11.attn.hook_z", ("z", 11)),
        ("blocks.0.hook_out", ("resid_post", 0)),
    ],
)
def test_names_with_and_without_a_layer(name: str, place: tuple[Component, int | None]) -> None:
    assert find_place(name) == place


def test_names_that_mean_nothing_are_refused() -> None:
    with pytest.raises(PlanError, match="hook_resid_pre"):
        find_place("blocks.2.hook_resid_pr")
    with pytest.raises(PlanError, match="no layer in its name"):
        Site.from_hook_name("hook_resid_pre", "step 1")
    with pytest.raises(PlanError, match="needs a model"):
        Site.from_hook_name("blocks.2.mlp.hook_out", "step 1")
