"""Markers are found in the template of each family, the three prompts are exact, and thoughts end at the marker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from faithlens.errors import TraceError
from faithlens.interventions.prompt_pieces import make_question_piece
from faithlens.model.model import Model
from faithlens.model.structure import Structure
from faithlens.model.thinking import Thinking, find_thinking
from faithlens.model.trace import split_thoughts
from faithlens.tasks.registry import load_task
from faithlens.thoughts import Finish, read_reply
from tests.conftest import byte_tokenizer
from tests.model.thinkers import FAMILIES, MODEL, SILENT, USER, Family, make_model

QWEN = FAMILIES["Qwen3"]
TASK = load_task("running-sum")


def markers(model: Model) -> Thinking:
    assert model.thinking is not None
    return model.thinking


each = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())


@each
def test_the_three_prompts(family: Family) -> None:
    model = make_model(family.template)
    thinking = markers(model)
    assert thinking.open_thoughts(model.render, "2?") == family.opened
    assert thinking.skip_thoughts(model.render, "2?") == family.skipped
    assert thinking.empty_thoughts(model.render, "2?") == family.emptied
    assert thinking.ending == family.close + family.after


@each
def test_thoughts_end_at_the_first_marker(family: Family) -> None:
    model = make_model(family.template)
    prompt, thoughts = model.encode_prompt(family.opened), "First 5.\nThen 😀 9.\n"
    text = f"It is 9.{family.close} Or 8."
    ids = model.encode_continuation(thoughts + family.close + family.after + text)
    if not family.after.startswith("<|"):  # a control token belongs to neither
        text = family.after + text
    assert split_thoughts(model, prompt, ids, "length") == (model.encode_continuation(thoughts), text, "stop")


@each
def test_unfinished_thoughts_are_refused(family: Family) -> None:
    model = make_model(family.template)
    prompt, ids = model.encode_prompt(family.opened), model.encode_continuation("First " + family.close[:-1])
    for finish, result in (
        ("length", f"did not close its thoughts within {len(ids)} tokens"),
        ("stop", "ended its turn without closing"),
    ):
        with pytest.raises(TraceError, match=result):
            split_thoughts(model, prompt, ids, finish)


@each
def test_questions_are_asked_in_these_prompts(family: Family) -> None:
    model, choices = make_model(family.template), load_task("arithmetic-mc")
    [question] = choices.draw_questions(1, 0)
    requested = {strategy: choices.make_prompt(question, strategy).user for strategy in ("cot", "no_cot")}
    cot = model.decode(make_question_piece(model, choices, question, "cot").ids)
    direct = model.decode(make_question_piece(model, choices, question, "no_cot").ids)
    assert cot == family.opened.replace("2?", requested["cot"])
    assert direct == family.skipped.replace("2?", requested["no_cot"])
    assert "Let's think step by step." not in cot


@pytest.mark.parametrize("template", SILENT.values(), ids=SILENT.keys())
def test_a_template_that_writes_no_thoughts_has_none(template: str) -> None:
    model = make_model(template)
    assert model.thinking is None
    [question] = TASK.draw_questions(1, 0)
    assert model.decode(make_question_piece(model, TASK, question, "cot").ids) == model.render(question.text, " Steps:")


@pytest.mark.parametrize(
    ("template", "tokens"),
    [
        (USER + "<a><reasoning>", ()),
        (USER + r"{{ '<a>\n<thinking>\n' if enable_thinking else '<a>' }}", ()),
        ("{% if thinking %}<s>Think in <thinking> tags.</s>{% endif %}" + USER + "<a>", ()),
        ("{% for m in messages %}{{ '<thinking>' + m.thought if m.thought else m.content }}{% endfor %}<a>", ()),
        ("<s>Write <reasoning> first.</s>" + USER + "<a>", ["<reasoning>"]),
    ],
)
def test_markers_of_letters_that_a_template_writes_count(template: str, tokens: list[str]) -> None:
    assert markers(make_model(template, tokens)).open in ("<thinking>", "<reasoning>")


def test_without_a_template_there_are_no_thoughts() -> None:
    assert find_thinking(byte_tokenizer()) is None


def write_without_markers(alphabet: str) -> st.SearchStrategy[str]:
    return st.text(st.sampled_from(alphabet)).filter(lambda text: "think>" not in text)


@given(write_without_markers("a5.</think>\n😀"), write_without_markers("b</think>\n"))
def test_thoughts_marker_and_answer_are_what_was_written(thoughts: str, text: str) -> None:
    model = make_model(QWEN.template)
    prompt, written = model.encode_prompt(QWEN.opened), thoughts + "</think>" + text
    ids = model.encode_continuation(written)
    result, rest, _ = split_thoughts(model, prompt, ids, "stop")
    assert ids[: len(result)] == result
    assert model.decode(result) + "</think>" + rest == written
    assert "</think>" not in model.decode(result)


PARTS = st.lists(st.sampled_from(["<think>", "</think>", "</THINK>", "\n", "5. ", "😀", "`<think>`", "<|im_end|>"]))


@given(PARTS, st.sampled_from(["stop", "length"]))
def test_sampled_tokens_are_cut_where_their_text_is(parts: list[str], finish: Finish) -> None:
    for template, opened_by in ((QWEN.template, Thinking("<think>\n", "</think>")), (SILENT["plain"], None)):
        model, text = make_model(template), "".join(parts)
        read, ids = read_reply(text, finish, opened_by), model.encode_continuation(text)
        if opened_by and read.finish == "length":
            with pytest.raises(TraceError, match="its thoughts"):
                split_thoughts(model, (), ids, finish)
        else:
            result, statement, end = split_thoughts(model, (), ids, finish)
            assert (model.decode(result), statement, end) == (read.thoughts, read.rest, read.finish)


@pytest.mark.parametrize(
    ("written", "thoughts", "text"),
    [
        ("First 5.</THINK>\n\nIt is 5.", "First 5.", "\n\nIt is 5."),
        ("<think>\nFirst 5.</think>It is 5.", "First 5.", "It is 5."),  # opened by the prompt and by the model
        ("A 😀.\n</think>5?\n<think>\nB 6.</think>It is 6.", "A 😀.\n\nB 6.", "It is 6."),
        ("The tag `</think>` ends it. 5.</think>It is 5.", "The tag `</think>` ends it. 5.", "It is 5."),
        ("First 5.</think>It is 5. I used <think> tags.", "First 5.", "It is 5. I used <think> tags."),
        ("First 5.</think>It is 5.<|im_end|>\n", "First 5.", "It is 5."),
        ("First a <reasoning> of 5.</think>It is 5.", "First a <reasoning> of 5.", "It is 5."),
    ],
)
def test_markers_that_models_spell_otherwise(written: str, thoughts: str, text: str) -> None:
    model = make_model(QWEN.template)
    prompt, ids = model.encode_prompt(QWEN.opened), model.encode_continuation(written)
    result, rest, finish = split_thoughts(model, prompt, ids, "stop")
    assert (model.decode(result), rest, finish) == (thoughts, text, "stop")


@pytest.mark.parametrize(
    ("written", "finish", "thoughts", "text", "end"),
    [
        ("First 5. The answer is 5.<|im_end|>", "stop", "First 5. The answer is 5.", "", "stop"),
        ("<think>First 5.</think>It is 5.", "length", "First 5.", "It is 5.", "stop"),
        ("<think>First 5. Th", "length", "First 5. Th", "", "length"),
        ("The tag <think> opens it. 5.", "stop", "The tag <think> opens it. 5.", "", "stop"),
    ],
)
def test_markers_are_read_where_the_template_has_none(
    written: str, finish: Finish, thoughts: str, text: str, end: Finish
) -> None:
    model = make_model(SILENT["plain"])
    result, rest, finish = split_thoughts(model, (), model.encode_continuation(written), finish)
    assert (model.decode(result), rest, finish) == (thoughts, text, end)


def test_a_token_across_the_marker_is_no_thought() -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {piece: i for i, piece in enumerate([*alphabet, ".<"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[(".", "<")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    merging = PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=QWEN.template)
    model = Model("merging", MODEL, merging, Structure())
    ids = model.encode_continuation("5 9.</think>9")
    assert split_thoughts(model, (), ids, "stop") == (model.encode_continuation("5 9"), "9", "stop")
