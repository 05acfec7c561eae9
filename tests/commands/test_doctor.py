"""`doctor` on models that are sound, and on ones that are not."""

import json

import pytest
import torch
from typer.testing import CliRunner

from faithlens.cli.main import app
from faithlens.commands import doctor
from faithlens.execution import attention
from faithlens.kernels.tree_attention import AttentionOutput, tree_attention
from tests.conftest import tiny


def list_failed(checks: list[doctor.CheckResult]) -> set[str]:
    return {check.name for check in checks if not check.passed}


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "gpt_oss"])
def test_sound_models_pass(family: str) -> None:
    checks = doctor.run_checks(tiny(family))
    assert list_failed(checks) == set()
    assert len(checks) == 22
    assert checks[1].name == "kernels run in plain torch"
    drift = checks[0].measured
    assert drift is not None
    assert 0 < drift < 1e-4


def test_attention_that_sees_too_much_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every query also sees a little of the mean value: wrong answers, yet masses and hooks are as they should be."""

    def leaky(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *args: object, **kwargs: object) -> AttentionOutput:
        out = tree_attention(q, k, v, *args, **kwargs)
        return out._replace(out=out.out + 0.01 * v.mean(1, keepdim=True).repeat_interleave(len(q) // len(v), 0))

    monkeypatch.setattr(attention, "tree_attention", leaky)
    result = list_failed(doctor.run_checks(tiny("llama")))
    assert {"packed is plain transformers", "packed is separate"} <= result
    assert "hooks are gone after an exception" not in result


def test_a_model_that_cannot_be_packed_is_told_why() -> None:
    checks = doctor.run_checks(tiny("mamba"))
    assert any("a MambaBlock with norm, mixer" in check.note for check in checks if not check.passed)


def test_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("llama")
    monkeypatch.setattr("faithlens.model.load.load", lambda *a, **k: model)
    good = CliRunner().invoke(app, ["doctor", "O5", "--json"])
    assert good.exit_code == 0
    assert {"name", "passed", "measured", "limit", "note"} == set(json.loads(good.stdout)[0])
    monkeypatch.setattr(doctor, "SLACK", 0)  # nothing is ever this exact
    bad = CliRunner().invoke(app, ["doctor", "O5"])
    assert bad.exit_code == 1
    assert "FAIL" in bad.output
