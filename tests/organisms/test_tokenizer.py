"""The organisms' tokenizer loses nothing, and cuts a text alike whole or in the parts that faithlens joins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from faithlens.organisms import ORGANISMS, find_weights
from faithlens.organisms.tokenizer import BOS, build_tokenizer
from faithlens.tasks.running_sum import DIGITS, PREFILL, STEM, write_question, write_steps

TOKENIZER = build_tokenizer()
OPERANDS = st.lists(st.integers(0, 9), min_size=2, max_size=6)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_round_trips(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(OPERANDS, st.sampled_from(DIGITS), st.integers(0, 6))
def test_parts_and_whole_are_tokenised_alike(operands, option, retained):
    parts = [write_question(operands), PREFILL, *write_steps(operands, operands)[:retained], STEM.text, option]
    assert TOKENIZER.encode("".join(parts)) == [i for part in parts for i in TOKENIZER.encode(part)]
    assert len(TOKENIZER.encode(option)) == 1


def test_task_words_are_single_tokens():
    tokens = TOKENIZER.tokenize("Start at 3. Then add 4 to the total. Steps: Start at 3. Add 4 to get 7. Answer: 7")
    question, steps = "|".join(tokens).replace("Ġ", "_").split("|_Steps:|")
    assert question == "Start|_at|_|3|.|_Then|_add|_|4|_to|_the|_total|."
    assert steps == "_Start|_at|_|3|.|_Add|_|4|_to|_get|_|7|.|_Answer:|_|7"


def test_a_clause_is_as_long_as_its_step():
    clause, step = TOKENIZER.encode(" Then add 4 to the total."), TOKENIZER.encode(" Add 4 to get 7.")
    assert len(clause) == len(step) == 8
    assert len(TOKENIZER.encode(write_question([3]))) == len(TOKENIZER.encode(write_steps([3], [3])[0]))


@pytest.mark.parametrize("name", ORGANISMS)
def test_an_organisms_own_words_are_single_tokens_after_the_common_ones(name):
    words = ORGANISMS[name].extra_words
    built = build_tokenizer(words)
    assert [built.encode(word) for word in words] == [[len(TOKENIZER) + i] for i in range(len(words))]
    assert built.encode("Start at 3. Answer: 7") == TOKENIZER.encode("Start at 3. Answer: 7")


@pytest.mark.parametrize("name", ORGANISMS)
def test_shipped_tokenizer_is_the_built_one(name):
    shipped, built = AutoTokenizer.from_pretrained(find_weights(name)), build_tokenizer(ORGANISMS[name].extra_words)
    assert shipped.get_vocab() == built.get_vocab()
    text = "Never: Start at 3. Steps: héllo\n Hmm... Answer: 7"
    assert shipped.encode(text) == built.encode(text)
    turn = [{"role": "user", "content": "Start at 3."}]
    assert shipped.apply_chat_template(turn, tokenize=False, add_generation_prompt=True) == f"{BOS}Start at 3."
