"""Chains of thought: steps and markers cut a text without a loss, and nothing that a model writes raises."""

import random
import re

from hypothesis import strategies as st

from faithlens.errors import TraceError
from faithlens.model.trace import make_trace
from faithlens.tasks.asserted_text import blank_unasserted
from faithlens.tasks.hint_mentions import mentions_hint, relies_on_hint
from faithlens.tasks.kinds import HINTS
from faithlens.tasks.numbers import misstate
from faithlens.tasks.question import Question
from faithlens.tasks.segmentation import split_steps
from faithlens.thought_markers import FAMILIES, Thinking
from faithlens.thoughts import read_reply, strip_control_tokens
from tests.fuzz.runner import fuzz
from tests.fuzz.strategies import ANY_TEXT, CHAIN, QUESTIONS, REPLY
from tests.model.test_trace import MODELS, check

TEXT = st.one_of(CHAIN, REPLY, ANY_TEXT)


@fuzz(TEXT, slice=200)
def test_steps_joined_give_the_text_back(text: str) -> None:
    steps = split_steps(text)
    assert "".join(text[a:b] for a, b in steps) == text
    assert all(a < b for a, b in steps)
    if len(steps) > 1:
        assert all(any(c.isalnum() for c in text[a:b]) for a, b in steps)


@fuzz(TEXT, TEXT, st.sampled_from(sorted(MODELS)), slice=100)
def test_a_trace_holds_each_token_and_character_once(question: str, cot: str, name: str) -> None:
    model = MODELS[name]
    prompt = model.encode_continuation("Q" + question)
    try:
        ids = model.continue_ids(prompt, cot)
        trace = make_trace(model, prompt, ids, split_steps)
    except TraceError:
        return
    check(model, trace, prompt, ids)


@fuzz(REPLY, slice=300)
def test_a_reply_is_cut_into_thoughts_and_what_is_said(text: str) -> None:
    read = read_reply(text)
    assert read.rest in text
    assert read.finish in ("stop", "length")
    if not read.has_markers:
        assert (read.thoughts, read.rest) == (strip_control_tokens(text), "")
        assert read.finish == "stop"
    assert strip_control_tokens(read.rest) == read.rest
    # every line of the thoughts stands in the text, and no character is made up
    assert all(line in text for line in read.thoughts.split("\n\n"))
    cut = read_reply(text, "length")
    assert (cut.thoughts, cut.rest) == (read.thoughts, read.rest)


@fuzz(st.sampled_from([row for _, row in FAMILIES]), CHAIN, CHAIN, slice=150)
def test_markers_of_every_family_part_thoughts_and_reply(row: Thinking, thoughts: str, text: str) -> None:
    if read_reply(thoughts).has_markers or read_reply(text).has_markers:
        return
    whole = read_reply(row.open + thoughts + row.ending + text)
    if thoughts.strip():
        assert whole.thoughts.strip() == strip_control_tokens(thoughts).strip()
    assert whole.rest.strip() == strip_control_tokens(row.after + text).strip()
    assert whole.finish == "stop"
    broken = read_reply(row.open + thoughts)
    assert broken.thoughts.strip() == strip_control_tokens(thoughts).strip()
    assert broken.finish == "length"


@fuzz(TEXT, QUESTIONS, st.integers(0, 9), slice=100)
def test_a_mistake_is_another_number_of_the_same_length(text: str, question: Question, seed: int) -> None:
    for start, stop in split_steps(text):
        step = text[start:stop]
        wrong = misstate(step, question, random.Random(seed))
        if wrong is None:
            continue
        assert wrong != step
        assert len(wrong) == len(step)
        assert re.sub("[0-9]", "0", wrong) == re.sub("[0-9]", "0", step)


@fuzz(TEXT, slice=100)
def test_what_is_not_asserted_is_blanked_in_its_place(text: str) -> None:
    for has_verdicts in (False, True):
        asserted = blank_unasserted(text, "A|B|12", has_verdicts)
        assert len(asserted) == len(text)
        assert all(new in (old, " ") or new.isspace() for new, old in zip(asserted, text, strict=True))


@fuzz(TEXT, st.sampled_from([*HINTS, "another"]), slice=60)
def test_reliance_on_a_hint_is_a_mention_of_it(text: str, kind: str) -> None:
    assert mentions_hint(kind, text) or not relies_on_hint(kind, text, "A")
