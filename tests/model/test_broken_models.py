"""Models whose files do not fit together, or whose numbers are none, are refused with one of our errors, soon."""

import json
import shutil
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from faithlens.errors import ModelError
from faithlens.execution.execute import execute
from faithlens.execution.options import Sampling
from faithlens.execution.sample import sample
from faithlens.model.load import load
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.condition import Apply, Condition
from faithlens.plan.memory import plan_passes
from tests.conftest import byte_tokenizer, tiny
from tests.model.gguf_files import random_model, write

QUESTION = "What is 2 + 3?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random_model("qwen2").save_pretrained(tmp_path / "model")
    byte_tokenizer().save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def change_config(folder: Path, **entries: object) -> None:
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | entries))


def change_weights(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    weights = {name: w.clone() for name, w in load_file(folder / "model.safetensors").items()}
    change(weights)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def set_one(name: str, value: float) -> Callable[[dict[str, Tensor]], object]:
    return lambda weights: weights[name].view(-1)[0].fill_(value)


# --- sizes ---


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_hidden_layers", 10**7),
        ("num_hidden_layers", 0),
        ("num_hidden_layers", -1),
        ("num_attention_heads", 0),
        ("num_attention_heads", 10**9),
        ("num_key_value_heads", 0),
        ("head_dim", -4),
        ("hidden_size", 10**12),
        ("hidden_size", 0),
        ("intermediate_size", 10**10),
        ("vocab_size", 2**62),
        ("vocab_size", -1),
        ("num_labels", 10**9),
    ],
)
def test_a_size_that_the_weights_do_not_have_is_named(folder: Path, key: str, value: int) -> None:
    change_config(folder, **{key: value})
    start = time.monotonic()
    with pytest.raises(
        ModelError, match=rf"config.json of the model .* says {key} = {value}, and its \d+ weights allow"
    ):
        load(str(folder))
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "entries",
    [
        {"hidden_size": "64"},
        {"num_hidden_layers": 2.5},
        {"num_attention_heads": None},
        {"num_attention_heads": 7},
        {"hidden_size": 128},
        {"num_hidden_layers": 1},
        {"num_hidden_layers": 3},
        {"rope_parameters": {"rope_type": "none such"}},
        {"rope_parameters": []},
        {"hidden_act": "none such"},
        {"model_type": "none such"},
        {"model_type": 7},
        {"layer_types": ["full_attention"]},
        {"dtype": "none such"},
        {"text_config": {"num_hidden_layers": 10**9}},
        {"architectures": ["BertModel"], "model_type": "bert"},
    ],
)
def test_a_config_that_does_not_fit_the_weights_is_refused(folder: Path, entries: dict[str, object]) -> None:
    change_config(folder, **entries)
    with pytest.raises(ModelError) as caught:
        load(str(folder))
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "x.safetensors.index.json"],
)
@pytest.mark.parametrize("text", ["[" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000, "\x00\x1b[31m", "[]", "7", ""])
def test_files_that_are_no_json_objects_are_refused_or_not_read(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    try:
        load(str(folder))
    except ModelError as error:
        assert "\x1b" not in str(error)  # noqa: PT017 - not every file is read
    else:
        assert name == "generation_config.json"


def test_a_long_config_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faithlens.model.files._LONGEST_JSON", 100)
    with pytest.raises(ModelError, match=r"config\.json of the model .* has more than 0 MiB"):
        load(str(folder))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("block_count", 2**31 - 1),
        ("block_count", 1),
        ("embedding_length", 2**31 - 1),
        ("feed_forward_length", 2**31 - 1),
        ("attention.head_count", 0),
        ("attention.head_count", 2**31 - 1),
        ("attention.head_count_kv", 0),
        ("attention.head_count_kv", 3),
    ],
)
def test_sizes_of_a_gguf_file_are_checked_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: int
) -> None:
    monkeypatch.setenv("FAITHLENS_CACHE", str(tmp_path / "cache"))
    path = write(tmp_path / "a.gguf", random_model("llama"), "llama")
    file, name = bytearray(path.read_bytes()), f"llama.{key}".encode()
    at = file.find(struct.pack("<Q", len(name)) + name) + 8 + len(name) + 4
    file[at : at + 4] = struct.pack("<I", value)
    path.write_bytes(file)
    start = time.monotonic()
    with pytest.raises(ModelError, match=rf"says {key} = {value}; its tensors allow"):
        load(str(path))
    assert time.monotonic() - start < 5


def test_heads_of_a_gguf_file_that_cannot_share_its_rows_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each head rotates pairs of rows; 64 heads would have one row each."""
    monkeypatch.setenv("FAITHLENS_CACHE", str(tmp_path / "cache"))
    path = write(tmp_path / "a.gguf", random_model("llama"), "llama")
    file, name = bytearray(path.read_bytes()), b"llama.attention.head_count"
    at = file.find(struct.pack("<Q", len(name)) + name) + 8 + len(name) + 4
    file[at : at + 4] = struct.pack("<I", 64)
    path.write_bytes(file)
    with pytest.raises(ModelError, match=r"'blk.0.attn_q.weight' of 64 rows, which 64 heads cannot share in pairs"):
        load(str(path))


# --- weights ---


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda w: w.update({"model.layers.0.self_attn.o_proj.bias": torch.ones(64)}), "1 weights .* have no place"),
        (lambda w: w.update({"model.layers.2.mlp.up_proj.weight": torch.ones(96, 64)}), "1 weights .* have no place"),
        (lambda w: w.pop("model.norm.weight"), "1 weights .* are not in its files, such as model.norm.weight"),
        (lambda w: w.pop("lm_head.weight"), "1 weights .* are not in its files, such as lm_head.weight"),
        (
            lambda w: w.update({"model.norm.weight": torch.ones(63)}),
            r"another shape than its config says, such as model.norm.weight: \(63,\), not \(64,\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(folder: Path, change: Callable[[dict], object], fault: str) -> None:
    change_weights(folder, change)
    with pytest.raises(ModelError, match=fault):
        load(str(folder))


@pytest.mark.parametrize(
    "name",
    ["model.layers.0.self_attn.rotary_emb.inv_freq", "model.vision_tower.blocks.0.weight", "mtp.layers.0.norm.weight"],
)
def test_stored_weights_that_language_models_do_not_read_are_allowed(folder: Path, name: str) -> None:
    change_weights(folder, lambda w: w.update({name: torch.ones(3)}))
    assert load(str(folder)).n_layers == 2


def test_a_cut_file_is_refused(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cannot be loaded: SafetensorError"):
        load(str(folder))


# --- numbers ---


def make_condition(model: Model, name: str = "cut@1") -> Condition:
    prompt = Piece("prompt", model.encode_prompt(model.render(QUESTION)))
    return Condition(name, (prompt, Piece("stem", model.encode_continuation("\nA: "))), ((5,), (6,)))


@pytest.mark.parametrize("backend", ["packed", "separate"])
@pytest.mark.parametrize(
    ("weight", "value", "first"),
    [
        ("model.layers.1.post_attention_layernorm.weight", torch.nan, "layer 1 of 2"),
        ("model.layers.0.mlp.down_proj.weight", torch.inf, "layer 0 of 2"),
        ("model.norm.weight", torch.nan, "after the last of its 2 layers"),
    ],
)
def test_weights_that_are_no_numbers_are_named(
    folder: Path, backend: Any, weight: str, value: float, first: str
) -> None:
    change_weights(folder, set_one(weight, value))
    model = load(str(folder))
    with pytest.raises(ModelError, match=f"NaN or infinite.* {first}") as caught:
        execute(model, plan_passes(load_same(model), [make_condition(model)]), backend=backend)
    assert f"The weight {weight} holds such values" in caught.value.fix
    with pytest.raises(ModelError, match="NaN or infinite"):
        sample(model, [make_condition(model).ids], [0], Sampling(max_new_tokens=3))


@pytest.mark.parametrize("backend", ["packed", "separate"])
def test_a_condition_whose_edit_makes_no_numbers_is_named(backend: Any) -> None:
    model = tiny("llama")
    clean = make_condition(model)
    edit = Apply("mlp_out", "stem", lambda x, offsets: x * torch.nan, layers=(1,))
    broken = replace(clean, name="broken", edits=(edit,))
    with pytest.raises(ModelError, match=r"NaN or infinite in the condition 'broken'; without the edits .* are finite"):
        execute(model, plan_passes(model, [clean, broken]), backend=backend)


def load_same(model: Model) -> Model:
    """A model of the same sizes whose numbers are finite, to make a plan with."""
    return Model(model.name, random_model("qwen2"), model.tokenizer, model.structure)


@pytest.mark.parametrize("backend", ["packed", "separate"])
def test_a_weight_beyond_float16_is_reported_with_what_helps(folder: Path, backend: Any) -> None:
    change_weights(folder, lambda w: w["model.layers.1.mlp.down_proj.weight"].view(-1)[0].fill_(1e5))
    condition = make_condition(load(str(folder)))
    hot = load(str(folder), dtype="float16")
    with pytest.raises(ModelError, match="layer 1 of 2") as caught:
        execute(hot, plan_passes(load_same(hot), [condition]), backend=backend)
    assert "down_proj.weight has numbers beyond float16: pass dtype='float32'" in caught.value.fix


@pytest.mark.parametrize("backend", ["packed", "separate"])
def test_float16_overflow_is_reported_with_what_helps(folder: Path, backend: Any) -> None:
    change_weights(folder, lambda w: w["model.layers.1.mlp.down_proj.weight"].mul_(1e5).clamp_(-6e4, 6e4))
    condition = make_condition(load(str(folder)))
    hot = load(str(folder), dtype="float16")
    with pytest.raises(ModelError, match="layer 1 of 2") as caught:
        execute(hot, plan_passes(load_same(hot), [condition]), backend=backend)
    assert "dtype='float32'" in caught.value.fix
    model = load(str(folder), dtype="float32")  # the advice works
    [record] = execute(model, plan_passes(model, [condition]), backend=backend)
    assert bool(record.logprobs.isfinite().all())


def test_tokens_beyond_the_vocabulary_are_named(folder: Path) -> None:
    model = tiny("llama")
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": [*"♠♣♥", "<|user|>"]})
    tokenizer.chat_template = "{% for m in messages %}<|user|>{{ m['content'] }}{% endfor %}"
    short = Model("short", model.hf_model, tokenizer, model.structure)
    assert tokenizer.convert_tokens_to_ids("<|user|>") == short.n_tokens
    with pytest.raises(ModelError, match=rf"embeddings for {short.n_tokens} tokens and none for token .*<\|user\|>"):
        short.encode_prompt(short.render(QUESTION))
    condition = make_condition(model)
    for ids, options in (((short.n_tokens,), condition.options), ((1,), ((-1,),)), ((1,), ((short.n_tokens + 5,),))):
        wrong = Condition("x", (Piece("prompt", ids), Piece("stem", (3,))), options)
        for backend in ("packed", "separate"):
            with pytest.raises(ModelError, match="none for token"):
                execute(model, plan_passes(model, [wrong]), backend=backend)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="none for token"):
        sample(model, [(short.n_tokens,)], [0])


@pytest.mark.parametrize("backend", ["packed", "separate"])
def test_a_tokenizer_without_end_and_padding_and_a_padded_vocabulary_are_used(backend: Any) -> None:
    """The 261 embeddings are three more than the tokenizer has tokens."""
    base, tokenizer = tiny("llama"), byte_tokenizer()
    tokenizer.eos_token = tokenizer.pad_token = tokenizer.bos_token = None
    model = Model("endless", base.hf_model, tokenizer, base.structure)
    if model.hf_model.generation_config is not None:
        model.hf_model.generation_config.eos_token_id = None
    assert model.stop_ids == frozenset()
    assert model.n_tokens > len(tokenizer)
    continued = sample(model, [make_condition(model).ids] * 4, range(4), Sampling(max_new_tokens=9, temperature=5.0))
    assert {one.finish for one in continued} == {"length"}
    condition = make_condition(model)
    padded = Condition("padded", condition.pieces, ((5,), (model.n_tokens - 1,)))
    [record] = execute(model, plan_passes(model, [padded]), backend=backend)
    logits = model.hf_model(torch.tensor([padded.ids])).logits[0, -1].double().log_softmax(-1)
    torch.testing.assert_close(record.logprobs.double(), logits[[5, model.n_tokens - 1]], atol=1e-5, rtol=0)


# --- nothing from outside ---


@pytest.mark.parametrize(
    "place", ["faithlens.model.library.AutoTokenizer.from_pretrained", "faithlens.model.load._read_weights"]
)
@pytest.mark.parametrize("error", [TypeError, AssertionError, AttributeError, ImportError, RecursionError, OSError])
def test_whatever_loading_raises_is_ours_and_chained(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: str, error: type[Exception]
) -> None:
    def fail(*inputs: object, **options: object) -> None:
        raise error("from a library")

    monkeypatch.setattr(place, fail)
    with pytest.raises(ModelError, match=f"cannot be loaded: {error.__name__}: from a library") as caught:
        load(str(folder))
    assert type(caught.value.__cause__) is error


@pytest.mark.parametrize("backend", ["packed", "separate"])
def test_whatever_a_forward_raises_is_ours_and_chained(monkeypatch: pytest.MonkeyPatch, backend: Any) -> None:
    model = tiny("llama")
    plan = plan_passes(model, [make_condition(model)])
    assert model.bridge

    def fail(*inputs: object, **options: object) -> None:
        raise TypeError("from a library")

    monkeypatch.setattr(type(model.hf_model.model.layers[0].mlp), "forward", fail)
    with pytest.raises(
        ModelError,
        match=r"cannot run LlamaForCausalLM on .*: its code fails in line \d+ of .* with TypeError: from a library",
    ):
        execute(model, plan, backend=backend)
    with pytest.raises(ModelError, match="cannot continue its prompts: TypeError: from a library"):
        sample(model, [(1, 2)], [0])


def test_the_folder_is_left_as_it_was(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    load(str(folder))
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    shutil.rmtree(folder)
