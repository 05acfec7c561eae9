"""A model in memory is run as it is, and left as it was."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModel, LlamaForCausalLM, PreTrainedModel, T5Config, T5ForConditionalGeneration

from faithlens.errors import FaithlensError, ModelError, PlanError
from faithlens.execution.execute import execute
from faithlens.execution.options import Sampling
from faithlens.execution.sample import sample
from faithlens.model.trace import Piece
from faithlens.model.wrap import wrap
from faithlens.plan.capture import Capture, Site
from faithlens.plan.condition import Ablation, Apply, Condition, Patch
from faithlens.plan.plan import compile_plan
from tests.conftest import FAMILIES, byte_tokenizer, call_unchecked, tiny

PIECES = (Piece("prompt", (11, 12, 13)), Piece("step 0", (14, 15)), Piece("stem", (16,)))
CLEAN = Condition("clean", PIECES, ((20,), (21,)))


def raw(family: str) -> PreTrainedModel:
    """A model as a user has it in the middle of a training: in training mode, some weights frozen."""
    hf_model = copy.deepcopy(tiny(family).hf_model).train()  # with a config of its own
    hf_model.requires_grad_(True)
    hf_model.get_input_embeddings().requires_grad_(False)
    hf_model.config.architectures = None
    return hf_model


@contextmanager
def assert_unchanged(hf_model: PreTrainedModel) -> Iterator[None]:
    before = state(hf_model)
    weights = {name: x.clone() for name, x in hf_model.state_dict().items()}
    yield
    assert state(hf_model) == before
    assert all(torch.equal(x, weights[name]) for name, x in hf_model.state_dict().items())


def state(hf_model: PreTrainedModel) -> object:
    """Everything that wrapping and running could change, but the values of the weights."""
    return (
        hf_model.config.to_dict(),
        hf_model.config._attn_implementation,
        {
            name: (m.training, m.__dict__.get("forward"), len(m._forward_hooks), len(m._forward_pre_hooks))
            for name, m in hf_model.named_modules()
        },
        {
            name: (id(p), p.requires_grad, p.grad, p.data_ptr(), p._version)
            for name, p in hf_model.named_parameters(remove_duplicate=False)
        },
        {name: (id(b), b.data_ptr(), b._version) for name, b in hf_model.named_buffers(remove_duplicate=False)},
    )


def plain_logprobs(hf_model: PreTrainedModel, condition: Condition) -> Tensor:
    with torch.no_grad():
        logits = hf_model(torch.tensor([condition.ids])).logits[0, -1].float()
    return logits.log_softmax(-1)[[option[0] for option in condition.options]]


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_values_are_those_of_plain_forwards(family: str) -> None:
    hf_model = raw(family)
    with assert_unchanged(hf_model):
        model = wrap(hf_model, byte_tokenizer())
        packed = execute(model, compile_plan([CLEAN]))[0].logprobs
        separate = execute(model, compile_plan([CLEAN]), backend="separate")[0].logprobs
    plain = plain_logprobs(hf_model.eval(), CLEAN)
    torch.testing.assert_close(packed, plain, atol=1e-5, rtol=0)
    torch.testing.assert_close(separate, plain, atol=1e-5, rtol=0)


def test_a_wrapped_model_gives_the_numbers_of_a_loaded_one() -> None:
    loaded, model = tiny("llama"), wrap(raw("llama"), byte_tokenizer())
    capture = Capture(attention=("answer",), logit_lens=("answer",), activations=(Site("z", 1, "stem"),))
    for own, other in zip(*(execute(m, compile_plan([CLEAN]), capture) for m in (loaded, model)), strict=True):
        assert torch.equal(own.logprobs, other.logprobs)
        assert torch.equal(own.attention["answer"], other.attention["answer"])
        assert torch.equal(own.activations[capture.activations[0]], other.activations[capture.activations[0]])


def test_gradients_and_sampling_leave_no_trace() -> None:
    hf_model = raw("llama")
    donor = Condition("donor", (PIECES[0], Piece("step 0", (17, 18)), PIECES[2]), CLEAN.options)
    patched = Condition("patched", PIECES, CLEAN.options, (Patch("resid_pre", "step 0", donor, (1,), amount=0.0),))
    with assert_unchanged(hf_model):
        model = wrap(hf_model, byte_tokenizer())
        record = execute(model, compile_plan([patched]), Capture(attribution=(1.0, -1.0)))[0]
        assert record.attribution[patched.edits[0]].abs().sum() > 0
        assert len(sample(model, [(11, 12)], [0], Sampling(max_new_tokens=3))[0].ids) <= 3


def test_an_error_in_the_middle_of_a_pass_leaves_no_trace() -> None:
    def fail(x: Tensor, offsets: Tensor) -> Tensor:
        raise ZeroDivisionError

    hf_model = raw("llama")
    broken = Condition("broken", PIECES, CLEAN.options, (Apply("mlp_out", "step 0", fail, layers=(1,)),))
    missing = Condition("missing", PIECES, CLEAN.options, (Ablation("z", "step 0", "zero", layers=(9,)),))
    with assert_unchanged(hf_model):
        model = wrap(hf_model, byte_tokenizer())
        with pytest.raises(ZeroDivisionError):
            execute(model, compile_plan([broken]))
        with pytest.raises(PlanError, match="layer 9"):
            execute(model, compile_plan([missing]))


def test_the_weights_are_shared() -> None:
    hf_model = raw("llama")
    model = wrap(hf_model, byte_tokenizer())
    own = dict(hf_model.named_parameters())
    assert all(weight.data_ptr() == own[name].data_ptr() for name, weight in model.hf_model.named_parameters())
    before = execute(model, compile_plan([CLEAN]))[0].logprobs
    with torch.no_grad():
        hf_model.lm_head.weight.mul_(0.5)
    after = execute(model, compile_plan([CLEAN]))[0].logprobs
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, plain_logprobs(hf_model.eval(), CLEAN), atol=1e-5, rtol=0)


def test_hooks_of_the_user_act_in_the_wrapped_model_too() -> None:
    hf_model = raw("llama")
    hf_model.model.layers[1].mlp.register_forward_hook(lambda module, args, out: 0 * out)
    record = execute(wrap(hf_model, byte_tokenizer()), compile_plan([CLEAN]))[0]
    torch.testing.assert_close(record.logprobs, plain_logprobs(hf_model.eval(), CLEAN), atol=1e-5, rtol=0)


def test_the_name_is_given_or_where_it_was_loaded_from_or_its_class(tmp_path: Path) -> None:
    hf_model = raw("llama")
    assert wrap(hf_model, byte_tokenizer(), name="mine").name == "mine"
    assert wrap(hf_model, byte_tokenizer()).name == "LlamaForCausalLM"
    hf_model.save_pretrained(tmp_path)
    assert wrap(LlamaForCausalLM.from_pretrained(tmp_path), byte_tokenizer()).name == str(tmp_path)


def test_forbidden_edges_are_read_from_the_config() -> None:
    hf_model = raw("llama")
    hf_model.config.faithlens = {"sections": {"answer": 6}, "forbidden": [["answer", "question"]]}
    assert wrap(hf_model, byte_tokenizer()).structure.forbidden == (("answer", "question"),)
    hf_model.config.faithlens = {"sections": 3}
    with pytest.raises(ModelError, match="faithlens entry in the config of LlamaForCausalLM"):
        wrap(hf_model, byte_tokenizer())


def test_what_is_no_causal_model_is_refused() -> None:
    tokenizer = byte_tokenizer()
    encoder_decoder = T5ForConditionalGeneration(T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2))
    for other, message in (
        (encoder_decoder, "no causal language model"),
        (AutoModel.from_config(FAMILIES["llama"]), "no causal language model"),
        (torch.compile(raw("llama")), "pass the model that was given to torch.compile"),
        (torch.nn.Linear(2, 2), "must be a transformers model, got Linear"),
    ):
        with pytest.raises(FaithlensError, match=message):
            call_unchecked(wrap, other, tokenizer)
    with pytest.raises(ModelError, match="the tokenizer must be a transformers tokenizer, got str"):
        call_unchecked(wrap, raw("llama"), "gpt2")
