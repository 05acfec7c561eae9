"""Thoughts are cut at the markers of every family, however they are spelled, doubled, missing or left open."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faithlens.thought_markers import FAMILIES
from faithlens.thoughts import read_reply

PAIRS = [(row.open.strip(), row.close) for _, row in FAMILIES]
WORDS = st.text("ab 12.\n", min_size=1).filter(str.strip)


@settings(deadline=None)
@given(st.sampled_from(PAIRS), WORDS, WORDS, st.booleans(), st.integers(1, 3))
def test_blocks_of_all_families(pair: tuple[str, str], thoughts: str, text: str, is_upper: bool, times: int) -> None:
    opening, close = (mark.upper() if is_upper else mark for mark in pair)
    read = read_reply(opening * times + thoughts + close + text)
    assert (read.thoughts, read.rest, read.finish) == (thoughts, text, "stop")
    read = read_reply(opening + thoughts)
    assert (read.thoughts, read.rest, read.finish) == (thoughts, "", "length")


@given(WORDS)
def test_a_text_without_markers_is_the_chain(text: str) -> None:
    for tail in ("", "<|im_end|>", "</s>", "\n<|eot_id|>", "<|im_end|>\n<|endoftext|>"):
        read = read_reply(text + tail, "stop")
        assert read.thoughts == (text.rstrip() if tail else text)
        assert (read.rest, read.has_markers) == ("", False)


@pytest.mark.parametrize(
    ("text", "thoughts", "statement"),
    [
        ("A\n</think>\n\nB", "A\n", "\n\nB"),
        ("<think>A</think> x <think>C</think> B<|im_end|>", "A\n\nC", " B"),
        ("<think>A</think></think>B", "A", "B"),
        ("Well. <think>Two</think>", "Two", ""),
        ("<|im_start|>assistant\n<think>A</think>B", "A", "B"),
        ("A<|end|><|start|>assistant<|channel|>final<|message|>B<|return|>", "A", "B"),
        ("A. So 5<|end|>", "A. So 5", ""),
        ("analysisWe add.assistantfinalB", "We add.", "B"),
        ("Analysis of the sum: 5.", "Analysis of the sum: 5.", ""),
        ("The tag <think> opens a block. So 5.", "The tag <think> opens a block. So 5.", ""),
        ('Tags ("<think>" and "</think>") cut it. 5.', 'Tags ("<think>" and "</think>") cut it. 5.', ""),
        ("<think>A `</think>` ends it. 5.</think>B", "A `</think>` ends it. 5.", "B"),
        ('<think>It is "5"</think>"B"', 'It is "5"', '"B"'),
        ("A</think>B. I used <think> tags.", "A", "B. I used <think> tags."),
        ("<think>A [THINK] B</think>C", "A [THINK] B", "C"),
        ("A <reasoning> of 5.</think>C", "A <reasoning> of 5.", "C"),
        ("Here is my thought process: A\nHere is my response: B", " A\n", " B"),
    ],
)
def test_spellings_in_replies(text: str, thoughts: str, statement: str) -> None:
    read = read_reply(text)
    assert (read.thoughts, read.rest, read.finish) == (thoughts, statement, "stop")


@pytest.mark.parametrize(
    ("text", "thoughts"),
    [
        ("<think>Two and", "Two and"),
        ("Well.\n<think>\nTwo and", "\nTwo and"),
        ("<think>A</think>\n<think>B", "A\n\nB"),
        ("<think>A [THINK]x[/THINK] and", "A [THINK]x[/THINK] and"),
        ("<|start|>assistant<|channel|>analysis<|message|>We ad", "We ad"),
    ],
)
def test_blocks_that_are_left_open_were_cut_off(text: str, thoughts: str) -> None:
    for finish in ("stop", "length"):
        read = read_reply(text, finish)
        assert (read.thoughts, read.rest, read.finish) == (thoughts, "", "length")


@given(st.lists(st.sampled_from([*(mark for pair in PAIRS for mark in pair), "`", "\n", "A. ", "<|im_end|>"])))
def test_spans_are_the_thoughts_and_end_before_the_reply(parts: list[str]) -> None:
    text = "".join(parts)
    read = read_reply(text)
    assert "\n\n".join(text[a:b] for a, b in read.spans) == read.thoughts
    assert list(sum(read.spans, ())) == sorted(sum(read.spans, ()))
    assert text.rfind(read.rest) >= read.spans[-1][1] or not read.rest


TAGS = st.sampled_from(["think", "thinking", "thought", "reasoning", "scratchpad", "analysis", "reflection", "cot"])
SPELLINGS = st.sampled_from(["<{}>", "< {} >", '<{} id="1">', "&lt;{}&gt;", "<{}>\n<{}>"])


@given(TAGS, SPELLINGS, SPELLINGS.filter(lambda spelling: "id" not in spelling), st.booleans(), st.booleans())
def test_tags_are_read_in_every_spelling(
    tag: str, opens: str, closes: str, in_capitals: bool, closed_again: bool
) -> None:
    tag = tag.upper() if in_capitals else tag
    opening, closing = opens.replace("{}", tag), closes.replace("{}", f"/{tag}")
    end = f"\n{closing}" if closed_again else ""
    reply = read_reply(f"{opening}\nTwo.\n{closing}\n\nIt is 2.{end}<|im_end|>")
    assert (reply.thoughts.strip(), reply.rest.strip(), reply.finish) == ("Two.", "It is 2.", "stop")


@pytest.mark.parametrize(
    "text", ["So 3 < thinking time > 2.", "An analysis of <b>it</b>.", "the <cot-1> tag", "&lt;b&gt;2"]
)
def test_what_is_no_tag_of_thoughts_is_text(text: str) -> None:
    assert read_reply(text).thoughts == text


@pytest.mark.parametrize(
    ("text", "thoughts", "statement"),
    [
        ("<think>A</thinking>B", "A", "B"),
        ("[THINK]A</think>B", "A", "B"),
        ("<think>A[/THINK]B", "A", "B"),
        ("\u25c1think\u25b7A</think>B", "A", "B"),
        ("<|begin_of_thought|>A</think>B", "A", "B"),
        ("<think>A [THINK]x[/THINK]</reasoning>B", "A [THINK]x[/THINK]", "B"),
        ("<think>A <think>x</think> C</think>B", "A <think>x</think> C", "B"),
        ("<think><thinking>A</thinking></think>B", "A", "B"),
        ("<reasoning>\n<think>\nA\n</think>\n</reasoning>\nB", "\nA\n", "\nB"),
        ("<scratchpad><reasoning><think>A</think></reasoning></scratchpad>B", "A", "B"),
        ("<think><thinking>A</think>B", "A", "B"),
        ("<think>A</reasoning></think>B", "A", "B"),
        ("<think><reasoning>x</reasoning> A</think>B", "<reasoning>x</reasoning> A", "B"),
        (
            "<think><reasoning>x</reasoning> A <reasoning>y</reasoning></think>B",
            "<reasoning>x</reasoning> A <reasoning>y</reasoning>",
            "B",
        ),
        ("<think>A</think>\n<thinking>C</thinking>B", "A\n\nC", "B"),
        ("<think>A<answer>B</answer>", "A", "<answer>B</answer>"),
        ("&#60;think&#62;A&#60;/think&#62;B", "A", "B"),
        ("\\u003cthink\\u003eA\\u003c/think\\u003eB", "A", "B"),
        ("<|thinking|>A<|/thinking|>B", "A", "B"),
        ("[Reasoning]A[/Reasoning]B", "A", "B"),
        ("[Reasoning]\nA. So 5.", "[Reasoning]\nA. So 5.", ""),
        ("<think>A</think><|im_end|>\n<|im_start|>assistant\nB<|im_end|>", "A", "B"),
    ],
)
def test_blocks_that_another_marker_closes(text: str, thoughts: str, statement: str) -> None:
    read = read_reply(text)
    assert (read.thoughts, read.rest, read.finish) == (thoughts, statement, "stop")


def test_a_closing_marker_at_which_a_text_was_cut_off_is_no_thought() -> None:
    assert read_reply("<think>A</th", "length").thoughts == "A"


@pytest.mark.parametrize(
    "unit", ["<think>A</think>x ", "x <think>A ", "A</think> ", "<|im_end|>\n", "<think>A</thinking>\n", " "]
)
def test_a_long_text_is_cut_in_linear_time(unit: str) -> None:
    text = unit * (200_000 // len(unit))  # with quadratic time this takes minutes
    read = read_reply(text)
    assert "\n\n".join(text[a:b] for a, b in read.spans) == read.thoughts
