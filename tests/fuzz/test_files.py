"""Files of models: a damaged header, a changed configuration or template gives the same model or an error of ours."""

import json
import shutil
import struct
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import torch
from hypothesis import strategies as st

from faithlens.errors import FaithlensError
from faithlens.execution.execute import execute
from faithlens.model.gguf import convert
from faithlens.model.load import load
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition
from faithlens.plan.memory import plan_passes
from tests.conftest import byte_tokenizer, tiny
from tests.fuzz.runner import check_error, fuzz
from tests.fuzz.strategies import JSON
from tests.model.gguf_files import random_model, write
from tests.model.test_templates import BAD, GOOD

FOLDER = TemporaryDirectory()
CONDITION = Condition("clean", (Piece("prompt", (5, 9, 40)), Piece("stem", (7,))), ((65,), (66, 3)))
SLOW = {"a gigabyte", "a terabyte", "many characters"}  # the limits of rendering have tests of their own


def check_answers(model: Model) -> None:
    [record] = execute(model, plan_passes(model, [CONDITION]))
    assert torch.isfinite(record.logprobs).all()
    assert (record.logprobs <= 1e-6).all()


# --- GGUF ---


@cache
def get_gguf(arch: str) -> bytes:
    return write(Path(FOLDER.name) / f"{arch}.gguf", random_model(arch), arch).read_bytes()


@cache
def find_places(arch: str) -> dict[str, int]:
    """Where the numbers and texts of the header stand."""
    data, places = get_gguf(arch), {"magic": 0, "version": 4, "tensor count": 8, "key count": 16}
    names = ["block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count",
             "attention.head_count_kv", "attention.layer_norm_rms_epsilon", "rope.freq_base"]  # fmt: skip
    for key in [*(f"{arch}.{name}" for name in names), "tokenizer.ggml.eos_token_id", "general.architecture"]:
        written = struct.pack("<Q", len(key)) + key.encode()
        at = data.find(written)
        if at >= 0:
            places |= {f"{key}, its type": at + len(written), key: at + len(written) + 4, f"{key}, its name": at + 8}
    for name in ("token_embd.weight", "blk.0.attn_q.weight", "blk.1.ffn_up.weight", "output_norm.weight"):
        at = data.find(struct.pack("<Q", len(name)) + name.encode()) + 8 + len(name)
        places |= {
            f"{name}, dimensions": at,
            f"{name}, size": at + 4,
            f"{name}, type": at + 20,
            f"{name}, offset": at + 24,
        }
    return places


@st.composite
def damaged_ggufs(draw: st.DrawFn) -> bytes:
    """A small file in which numbers of the header, or any bytes, are others, or whose end is missing."""
    arch = draw(st.sampled_from(["llama", "qwen2"]))
    data, places = bytearray(get_gguf(arch)), find_places(arch)
    for _ in range(draw(st.integers(1, 2))):
        match draw(st.sampled_from(["number", "number", "number", "bytes", "cut"])):
            case "number":
                at = places[draw(st.sampled_from(sorted(places)))]
                number = draw(st.sampled_from([0, 1, 2, 3, 5, 7, 8, 64, 2**31 - 1, 2**31, 2**32 - 1, 10**7]))
                data[at : at + 4] = struct.pack("<I", number)
            case "bytes":
                at = draw(st.integers(0, max(min(len(data), 12_000) - 1, 0)))  # it may be cut to nothing
                data[at : at + 4] = draw(st.binary(min_size=4, max_size=4))
            case _:
                del data[draw(st.one_of(st.integers(0, 12_000), st.integers(0, len(data)))) :]
    return bytes(data)


@fuzz(damaged_ggufs(), slice=25)
def test_a_damaged_gguf_file_is_a_model_or_refused(data: bytes) -> None:
    path, folder = Path(FOLDER.name) / "damaged.gguf", Path(mkdtemp(dir=FOLDER.name))
    path.write_bytes(data)
    try:
        convert(path, folder)
        model = load(str(folder))
        check_answers(model)
    except FaithlensError as error:
        check_error(error)
    finally:
        shutil.rmtree(folder)


# --- configurations ---


@cache
def get_folder() -> Path:
    folder = Path(FOLDER.name) / "model"
    model = tiny("llama")
    model.hf_model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


@cache
def get_config() -> dict[str, Any]:
    return json.loads((get_folder() / "config.json").read_text())


_ENTRY = st.one_of(
    st.sampled_from([0, 1, 2, 4, 5, 7, 260, 262, 10**7, 2**40, -1, 0.5, None, True, "", "x", [], {}]),
    st.sampled_from(["silu", "gelu_new", "llama", "gpt2", "qwen2", "linear", "float16", "bfloat16", "../x"]),
    JSON,
)
_MORE = [
    "sliding_window",
    "rope_scaling",
    "layer_types",
    "quantization_config",
    "faithlens",
    "auto_map",
    "num_experts",
    "attn_implementation",
    "text_config",
    "pretraining_tp",
    "partial_rotary_factor",
    "is_encoder_decoder",
]


@st.composite
def changed_configs(draw: st.DrawFn) -> str:
    """The configuration of a tiny Llama with other values, without some, or with more; or another text."""
    config = dict(get_config())
    for _ in range(draw(st.integers(1, 2))):
        key = draw(st.sampled_from([*sorted(config), *_MORE]))
        if key in config and draw(st.integers(0, 4)) == 0:
            del config[key]
        else:
            config[key] = draw(_ENTRY)
    return json.dumps(config)


@fuzz(changed_configs(), slice=25)
def test_a_changed_configuration_is_a_model_or_refused(config: str) -> None:
    (get_folder() / "config.json").write_text(config)
    try:
        check_answers(load(str(get_folder())))
    except FaithlensError as error:
        check_error(error)


# --- chat templates ---


@st.composite
def changed_templates(draw: st.DrawFn) -> str:
    """A chat template with a part cut out, doubled or put elsewhere."""
    text = draw(st.sampled_from([*GOOD.values(), *(bad for name, (bad, _) in BAD.items() if name not in SLOW)]))
    for _ in range(draw(st.integers(0, 2))):
        a, b = sorted(draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
        at = draw(st.integers(0, len(text)))
        match draw(st.sampled_from(["cut", "copy", "insert"])):
            case "cut":
                text = text[:a] + text[b:]
            case "copy":
                text = text[:at] + text[a:b] + text[at:]
            case _:
                word = draw(
                    st.sampled_from(
                        ["{{ m['content'] }}", "{% if thinking %}", "{% endif %}", "<think>", "{{", "é", "\x1b[31m"]
                    )
                )
                text = text[:at] + word + text[at:]
    return text


@cache
def get_base() -> Model:
    return tiny("llama")


@fuzz(changed_templates(), st.text(st.characters(exclude_categories=["Cs"]), max_size=40), slice=25)
def test_a_template_asks_the_question_once_or_is_refused(template: str, words: str) -> None:
    tokenizer, question = byte_tokenizer(), f"What is 3 + 4? {words}"
    tokenizer.chat_template = template
    model = Model("made", get_base().hf_model, tokenizer, get_base().structure)
    try:
        prompt = model.render(question, "So")
    except FaithlensError as error:
        check_error(error)
        return
    assert " ".join(prompt.split()).count(" ".join(question.split())) == 1
    assert prompt.endswith("So")
    assert model.render(question, "So") == prompt
    assert model.decode(model.encode_prompt(prompt)) == prompt
