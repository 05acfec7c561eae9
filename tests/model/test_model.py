"""`Model` and its text: what is encoded decodes to exactly the same text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from faithlens.errors import TraceError
from faithlens.model.model import Model
from faithlens.model.structure import Structure
from tests.conftest import byte_tokenizer, tiny

MODEL = tiny("llama")
PIECES = ["<unk>", "<s>", "▁", "a", "b", "=", "1", "2", "\n", "▁a", "ab", "▁ab"]


def with_tokenizer(tokenizer: PreTrainedTokenizerFast) -> Model:
    return Model("tiny", MODEL.hf_model, tokenizer, Structure())


def sentencepiece(legacy: bool) -> PreTrainedTokenizerFast:
    """A tokenizer that puts a space before every text: by Metaspace or, like old Llama tokenizers, by a normalizer."""
    vocab = {piece: i for i, piece in enumerate(PIECES)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[("a", "b"), ("▁", "ab"), ("▁", "a")], unk_token="<unk>"))
    if legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        steps = [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        tokenizer.decoder = decoders.Sequence(steps)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
        tokenizer.decoder = decoders.Metaspace(prepend_scheme="always", split=False)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", unk_token="<unk>")


@given(st.text(), st.text())
def test_a_continuation_reads_back_exactly(prefix: str, text: str) -> None:
    ids = MODEL.encode_prompt(prefix)
    assert MODEL.decode(ids + MODEL.continue_ids(ids, text)) == prefix + text


@pytest.mark.parametrize("legacy", [False, True])
@given(st.text("ab=12\n ", min_size=1), st.text("ab=12\n "))
def test_the_space_a_sentencepiece_tokenizer_adds_is_taken_away(legacy: bool, prefix: str, text: str) -> None:
    model = with_tokenizer(sentencepiece(legacy))
    ids = model.encode_continuation("a" + prefix)
    assert model.decode(ids + model.continue_ids(ids, text)) == "a" + prefix + text


def test_a_continuation_has_the_same_tokens_everywhere() -> None:
    model = with_tokenizer(sentencepiece(legacy=False))
    a, b = model.encode_continuation("1="), model.encode_continuation("a")
    assert model.continue_ids(a, "ab") == model.continue_ids(b, "ab") == (PIECES.index("ab"),)
    assert model.continue_ids(b, " ab") == (PIECES.index("▁ab"),)


def test_what_cannot_be_written_is_refused() -> None:
    model = with_tokenizer(sentencepiece(legacy=False))
    with pytest.raises(TraceError, match="cannot write 'z' after 1 tokens"):
        model.continue_ids(model.encode_continuation("a"), "z")
    with pytest.raises(TraceError, match="z\\.\\.\\.'"):
        model.continue_ids((), "z" * 80)


def test_without_a_template_the_question_is_put_plainly() -> None:
    assert MODEL.render("2 + 2?") == "Q: 2 + 2?\nA:"
    assert MODEL.render("2 + 2?", "Let us see.") == "Q: 2 + 2?\nA: Let us see."
    assert MODEL.render("2 + 2?", "\nFirst") == "Q: 2 + 2?\nA:\nFirst"


def test_bos_opens_a_plain_prompt_where_the_tokenizer_adds_it() -> None:
    model = with_tokenizer(sentencepiece(legacy=False))
    assert model.encode_prompt("a") == (1, PIECES.index("▁a"))
    assert model.encode_prompt("<s>a")[:2].count(1) == 1
    assert MODEL.encode_prompt("a") == MODEL.encode_continuation("a")  # this one adds none


def test_a_template_writes_its_own_special_tokens_and_no_date() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = (
        "<s>{{ date_string }}|{{ messages[0].content }}</s>{% if add_generation_prompt %}A:{% endif %}"
    )
    model = with_tokenizer(tokenizer)
    text = model.render("hi", "So")
    assert text == "<s>26 Jul 2024|hi</s>A:So"
    ids = model.encode_prompt(text)
    assert ids.count(0) == 1
    assert model.decode(ids) == text
