"""Weights in few bits: what runs is exact, and what needs the matrix or a gradient that is not there is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel, set_seed

from faithlens.commands.doctor import run_checks
from faithlens.errors import ModelError
from faithlens.execution.execute import execute
from faithlens.execution.options import Sampling
from faithlens.execution.sample import sample
from faithlens.model.load import load
from faithlens.model.model import Model
from faithlens.model.quantised import check_gradients
from faithlens.model.wrap import wrap
from faithlens.plan.capture import Capture
from faithlens.plan.condition import Ablation, Edit, KeyValuePatch, Knockout, Patch
from faithlens.plan.plan import compile_plan
from tests.conftest import byte_tokenizer
from tests.execution.test_edits import CLEAN, DONOR

WEIGHTS = (1.0, -1.0, 0.0, 0.0)
EDITS: tuple[Edit, ...] = (
    Knockout("stem", ("step 1",)), KeyValuePatch("stem", "step 1", DONOR), Patch("resid_pre", "step 1", DONOR, (1,)),
    Patch("z", "step 1", DONOR, (1,), heads=(1,)), Ablation("mlp_out", "step 0", "zero", (1,)),
)  # fmt: skip
CONDITIONS = [CLEAN, DONOR, *(replace(CLEAN, name=str(i), edits=(edit,)) for i, edit in enumerate(EDITS))]


class ByteLinear(nn.Linear):
    """A projection whose weight is stored in bytes, two of which stand for each number in a flat list."""

    is_cut = False  # whether gradients are lost, as in kernels that only infer

    @classmethod
    def store(cls, plain: nn.Linear) -> nn.Linear:
        out = cls(plain.in_features, plain.out_features, bias=False)
        out.scale = plain.weight.abs().max() / 32767
        codes = (plain.weight / out.scale).round().int() + 32768
        flat = torch.stack([codes // 256, codes % 256], -1).to(torch.uint8).reshape(-1, 1)
        out.weight = nn.Parameter(flat, requires_grad=False)
        return out

    def forward(self, input: Tensor) -> Tensor:
        high, low = self.weight.view(self.out_features, self.in_features, 2).unbind(-1)
        matrix = (high.float() * 256 + low - 32768) * self.scale
        return nn.functional.linear(input.detach() if self.is_cut else input, matrix)


class CutLinear(ByteLinear):
    is_cut = True


class BufferLinear(nn.Module):
    """A projection without a weight of that name, as GPTQ stores it; its gradient is lost."""

    def __init__(self, plain: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.scale = plain.in_features, plain.weight.abs().max() / 32767
        self.register_buffer("qweight", (plain.weight / self.scale).round().to(torch.int32))

    @classmethod
    def store(cls, plain: nn.Linear) -> nn.Module:
        return cls(plain)

    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.linear(input.detach(), self.qweight * self.scale)


def make_plain() -> PreTrainedModel:
    set_seed(0)
    config = LlamaConfig(
        vocab_size=261, hidden_size=64, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.1, head_dim=16,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)


def store_in_bytes(kind: type[ByteLinear | BufferLinear], with_head: bool = False) -> PreTrainedModel:
    hf_model = make_plain()
    for block in hf_model.model.layers:
        for part in (block.self_attn, block.mlp):
            for name, child in list(part.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(part, name, kind.store(child))
    if with_head:
        hf_model.lm_head = kind.store(hf_model.lm_head)
    return hf_model


def check_what_runs(model: Model, tolerance: float) -> None:
    """Answers, edits, attention and lens: packed as separate; and sampling as transformers generates."""
    capture = Capture(attention=("answer",), logit_lens=("answer",))
    plan = compile_plan(CONDITIONS)
    packed, apart = (execute(model, plan, capture, backend=backend) for backend in ("packed", "separate"))
    for one, other in zip(packed, apart, strict=True):
        torch.testing.assert_close(one.logprobs, other.logprobs, atol=tolerance, rtol=0)
        torch.testing.assert_close(one.attention["answer"], other.attention["answer"], atol=tolerance, rtol=0)
        torch.testing.assert_close(one.logit_lens["answer"], other.logit_lens["answer"], atol=tolerance, rtol=0)
    answers = torch.stack([each.logprobs for each in packed])
    assert (answers[2:] - answers[0]).abs().amax(1).min() > 1e-3
    ids = torch.tensor([CLEAN.ids])
    [drawn] = sample(model, [CLEAN.ids], [0], Sampling(5))
    out = model.hf_model.generate(ids, max_new_tokens=5, do_sample=False, eos_token_id=None, pad_token_id=0)
    assert drawn.ids == tuple(out[0, len(CLEAN.ids) :].tolist())[: len(drawn.ids)]


def test_gradients_are_tried_in_the_number_format_of_the_model() -> None:
    """A projection may multiply nothing but the format that it was made for."""
    blocks = nn.Sequential(BufferLinear(nn.Linear(4, 4).bfloat16()), nn.LayerNorm(4).bfloat16())
    with pytest.raises(ModelError, match="no gradient goes through 0 of x"):
        check_gradients("x", blocks)


def attribute(model: Model, amount: float) -> Any:
    patch = Patch("resid_pre", "step 1", DONOR, (1,), amount=amount)
    plan = compile_plan([replace(CLEAN, edits=(patch,))])
    return execute(model, plan, Capture(attribution=WEIGHTS))[0]


def check_slope(model: Model) -> None:
    [score] = attribute(model, 0.3).attribution.values()
    high, low = (attribute(model, amount).logprobs for amount in (0.302, 0.298))
    assert float(score.sum()) == pytest.approx(float((torch.tensor(WEIGHTS) * (high - low)).sum()) / 0.004, rel=0.02)


def refuse_flow(model: Model, words: str) -> None:
    with pytest.raises(ModelError, match=f"(?s)the value-weighted flow of .* in few bits .*{words}"):
        execute(model, compile_plan([CLEAN]), Capture(flow=("answer",)))


def test_what_needs_no_matrix_runs() -> None:
    model = wrap(store_in_bytes(ByteLinear), byte_tokenizer())
    check_what_runs(model, 1e-4)
    check_slope(model)
    assert [check.name for check in run_checks(model) if not check.passed] == []
    plain = wrap(make_plain(), byte_tokenizer())
    [same], [near] = (execute(each, compile_plan([CLEAN])) for each in (plain, model))
    torch.testing.assert_close(same.logprobs, near.logprobs, atol=1e-2, rtol=0)  # 16 bits are near the plain weights


def test_the_flow_and_lost_gradients_are_refused() -> None:
    refuse_flow(wrap(store_in_bytes(ByteLinear), byte_tokenizer()), "ByteLinear, Parameter of uint8")
    cut = wrap(store_in_bytes(CutLinear), byte_tokenizer())
    execute(cut, compile_plan([CLEAN]))
    with pytest.raises(ModelError, match=r"no gradient goes through model\.layers\.0\.self_attn\.q_proj") as caught:
        attribute(cut, 0.3)
    assert "16 or 32 bits" in caught.value.fix


def test_a_projection_without_a_weight_is_refused_in_the_same_way() -> None:
    model = wrap(store_in_bytes(BufferLinear), byte_tokenizer())
    execute(model, compile_plan([CLEAN, DONOR]))
    refuse_flow(model, r"BufferLinear, Tensor of int32")
    with pytest.raises(ModelError, match="no gradient goes through"):
        attribute(model, 0.3)


def test_an_unembedding_in_few_bits_is_refused() -> None:
    with pytest.raises(ModelError, match="the unembedding of LlamaForCausalLM reads a matrix that is stored in few"):
        execute(wrap(store_in_bytes(ByteLinear, with_head=True), byte_tokenizer()), compile_plan([CLEAN]))


def load_in_few_bits(folder: Path, settings: object) -> PreTrainedModel:
    make_plain().save_pretrained(folder)
    return AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=settings, device_map="cpu", dtype=torch.float32
    )


def use_bitsandbytes() -> object:
    pytest.importorskip("bitsandbytes")
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.float32, bnb_4bit_quant_type="nf4")


def use_torchao() -> object:
    pytest.importorskip("torchao")
    from torchao.quantization import IntxWeightOnlyConfig  # pyright: ignore[reportMissingImports]
    from torchao.quantization.granularity import PerGroup  # pyright: ignore[reportMissingImports]
    from transformers import TorchAoConfig

    return TorchAoConfig(IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(32)))


@pytest.mark.parametrize(
    ("use", "storage", "tolerance"),
    # on CPUs that multiply in bfloat16, bitsandbytes rounds its inputs to 8 bits
    [(use_bitsandbytes, "Linear4bit, Params4bit of uint8", 0.1), (use_torchao, "Linear, Intx", 1e-4)],
)
def test_4_bits_of_a_package(tmp_path: Path, use: Callable[[], object], storage: str, tolerance: float) -> None:
    hf_model = load_in_few_bits(tmp_path / "plain", use())
    model = wrap(hf_model, byte_tokenizer())
    check_what_runs(model, tolerance)
    refuse_flow(model, storage)
    try:
        check_slope(model)
    except ModelError as error:
        assert "no gradient goes through" in str(error)  # noqa: PT017
    hf_model.save_pretrained(tmp_path / "stored")
    byte_tokenizer().save_pretrained(tmp_path / "stored")
    again = load(str(tmp_path / "stored"), device="cpu")
    [one], [other] = (execute(each, compile_plan([CLEAN])) for each in (model, again))
    torch.testing.assert_close(one.logprobs, other.logprobs, atol=tolerance, rtol=0)
