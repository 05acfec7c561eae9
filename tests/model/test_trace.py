"""Pieces of a trace are exact, in tokens and in characters at once, on any tokenizer."""

from collections.abc import Sequence
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from faithlens.errors import TraceError
from faithlens.model.model import Model
from faithlens.model.structure import Structure
from faithlens.model.trace import Trace, cut_steps, find_offsets, make_trace
from faithlens.organisms.tokenizer import build_tokenizer
from faithlens.tasks.segmentation import split_steps
from tests.conftest import byte_tokenizer, call_unchecked, tiny

HF_MODEL = deepcopy(tiny("llama").hf_model)
HF_MODEL.resize_token_embeddings(300)  # as many as the largest of the tokenizers below has
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def merging() -> PreTrainedTokenizerFast:
    """Byte-level, with tokens across sentence borders, and tokens of a text and half of the next character."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    space, smile = BYTES.pre_tokenize_str(" ")[0][0], BYTES.pre_tokenize_str("😀")[0][0]
    merges = [(".", space), ("." + space, "A"), (space, smile[0]), ("." + space, smile[0]), (smile[1], smile[2])]
    merges += [("\u010a", "\u010a"), ("." + space, smile[0] + smile[1]), (smile[0], smile[1])]  # "\u010a": a line feed
    vocab = {piece: i for i, piece in enumerate([*alphabet, *dict.fromkeys(a + b for a, b in merges)])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer, tokenizer.decoder = BYTES, decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def metaspace() -> PreTrainedTokenizerFast:
    """Like sentencepiece with byte fallback: a space before every text, and rare characters as single bytes."""
    plain = ["▁", ".", "A", "b", "\n", "▁A", ".▁", "?", "b.", "▁A", "1"]
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys([*(f"<0x{i:02X}>" for i in range(256)), *plain]))}
    merges = [("▁", "A"), (".", "▁"), ("b", ".")]
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(parts)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


TOKENIZERS = {"bytes": byte_tokenizer(), "organism": build_tokenizer(), "merging": merging(), "metaspace": metaspace()}
MODELS = {name: Model(name, HF_MODEL, tokenizer, Structure()) for name, tokenizer in TOKENIZERS.items()}
TEXT = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(". A?!\nb😀é。\ufffd1")))
SENTENCES = st.lists(st.sampled_from(["A b.", " A b. A.", "😀", ". 😀", "\n\n", "1. A", "é? ", "。", " "])).map("".join)


def check(model: Model, trace: Trace, prompt: tuple[int, ...], cot: tuple[int, ...]) -> None:
    assert trace.prompt.ids == prompt
    assert tuple(token for piece in trace.steps for token in piece.ids) == cot
    assert len(trace) == len(prompt) + len(cot)
    assert [piece.name for piece in trace.pieces] == ["prompt", *(f"step {i}" for i in range(len(trace.steps)))]
    assert "".join(trace.texts) == model.decode(prompt + cot)
    assert trace.cot == model.decode(prompt + cot)[len(model.decode(prompt)) :]
    assert all(piece.ids for piece in trace.steps)
    assert all(text.strip() for text in trace.texts[1:])
    read: tuple[int, ...] = ()
    for piece, text in zip(trace.pieces, trace.texts, strict=True):
        assert text == model.decode(read + piece.ids)[len(model.decode(read)) :]
        read += piece.ids


@pytest.mark.parametrize("name", sorted(MODELS))
@given(TEXT, st.one_of(TEXT, SENTENCES))
def test_pieces_partition_tokens_and_text(name: str, question: str, cot: str) -> None:
    model = MODELS[name]
    prompt = model.encode_continuation("Q" + question)
    try:
        ids = model.continue_ids(prompt, cot)
    except TraceError:  # a byte fallback tokenizer cannot write a text that opens with a space everywhere
        assert name == "metaspace"
        return
    if not cot.strip():
        with pytest.raises(TraceError, match="wrote nothing"):
            make_trace(model, prompt, ids, split_steps)
        return
    trace = make_trace(model, prompt, ids, split_steps, "length", 7)
    check(model, trace, prompt, ids)
    assert (trace.finish, trace.seed) == ("length", 7)
    assert 1 <= len(trace.steps) <= len(split_steps(cot))


@given(st.lists(st.integers(0, 257), min_size=1, max_size=40))
def test_what_is_no_text_at_all_is_still_partitioned(ids: list[int]) -> None:
    """A random model writes bytes that are no characters; they decode to U+FFFD, one or more bytes at a time."""
    model, prompt = MODELS["bytes"], MODELS["bytes"].encode_continuation("Q: ")
    if model.decode(ids).strip():
        check(model, make_trace(model, prompt, ids, split_steps), prompt, tuple(ids))


def test_steps_are_sentences_where_tokens_are_bytes() -> None:
    model = MODELS["bytes"]
    cot = " First, 1.5 + 2 = 3.5. Then 😀 é!\n\nSo it is 3.5."
    trace = make_trace(model, model.encode_prompt("Q"), model.encode_continuation(cot), split_steps)
    assert trace.texts[1:] == (" First, 1.5 + 2 = 3.5. ", "Then 😀 é!\n\n", "So it is 3.5.")
    assert str(trace).splitlines()[2] == "[step 1] Then 😀 é!"


def test_a_token_across_a_border_goes_with_its_first_visible_character() -> None:
    model = MODELS["merging"]
    ids = model.encode_continuation("A b. A b.")
    assert [model.decode([i]) for i in ids] == ["A", " ", "b", ". A", " ", "b", "."]
    assert make_trace(model, model.encode_prompt("Q"), ids, split_steps).texts[1:] == ("A b. A ", "b.")


def test_a_character_is_never_cut() -> None:
    """One token holds the full stop, the space and half of the next sentence's first character."""
    model = MODELS["merging"]
    ids = model.encode_continuation("bb. 😀 b.")
    assert "\ufffd" in model.decode(ids[:3])
    assert make_trace(model, model.encode_prompt("Q"), ids, split_steps).texts[1:] == ("bb. 😀 ", "b.")


def test_white_space_stays_with_the_step_before() -> None:
    model = MODELS["merging"]
    ids = model.encode_continuation("b. A b.")
    assert cut_steps("b. A b.", find_offsets(model, ids), [(0, 3), (3, 5), (5, 7)]) == [(0, 3), (3, 5)]
    assert model.decode(ids[:3]) == "b. A "


def test_offsets_by_hand() -> None:
    model = MODELS["bytes"]
    ids = model.encode_continuation("aé\ufffdb")
    assert find_offsets(model, ids, model.encode_continuation("Q")) == [0, 1, 1, 2, 2, 2, 2, 4]
    assert find_offsets(model, ()) == [0]


def test_decoding_that_is_no_concatenation_is_refused() -> None:
    tokenizer = Tokenizer(models.WordLevel({"a": 0, ".": 1, "<unk>": 2}, unk_token="<unk>"))
    tokenizer.decoder = decoders.Sequence([decoders.Fuse(), decoders.Replace("a.a", "X")])
    model = Model("words", HF_MODEL, PreTrainedTokenizerFast(tokenizer_object=tokenizer), Structure())
    with pytest.raises(TraceError, match="differently"):
        make_trace(model, (0,), (0, 1, 0, 0), split_steps)


def test_a_long_chain_is_cut_in_linear_time() -> None:
    model = MODELS["merging"]
    ids = model.encode_continuation("b. A b 😀.\n" * 200)
    decoded = 0

    class Counting(type(model)):  # how many tokens are decoded does not depend on the machine
        def decode(self, ids: Sequence[int]) -> str:
            nonlocal decoded
            decoded += len(ids)
            return super().decode(ids)

    counting = Counting(model.name, model.hf_model, model.tokenizer, model.structure)
    assert len(make_trace(counting, model.encode_prompt("Q"), ids, split_steps).steps) == 200
    assert decoded < 20 * len(ids)


def test_an_unknown_finish_is_refused() -> None:
    with pytest.raises(TraceError, match=r"unknown finish 'stopped'\s.*Did you mean 'stop'"):
        call_unchecked(make_trace, tiny("llama"), (3,), (4, 5), lambda text: [(0, len(text))], "stopped")


def test_the_example_of_the_module_is_right() -> None:
    text, starts = "2 + 3 = 5.\nSo 5.", [0, 3, 7, 9, 13, 16]
    ranges = cut_steps(text, starts, [(0, 11), (11, 16)])
    assert ranges == [(0, 4), (4, 5)]
    assert [text[starts[a] : starts[b]] for a, b in ranges] == ["2 + 3 = 5.\nSo", " 5."]
