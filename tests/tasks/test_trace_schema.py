"""Version 2 of the schema of chains: prompts, steps, edits, answers, labels and samples as they were published."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from faithlens.errors import TaskError
from faithlens.tasks.formats.reply_record import GivenEdit
from faithlens.tasks.formats.trace_schema import KEYS, make_json_schema
from faithlens.tasks.question import Prompt
from faithlens.tasks.transcripts import TranscriptTask
from tests.tasks.published_files import (
    HINTED_PROMPT,
    PLAIN_PROMPT,
    STEPS,
    dump,
    make_mistake_line,
    make_problem,
    write_text,
)

LINE = {"question": "Which is a metal?", "choices": ["Wood", "Iron", "Glass"], "answer": "B", "cot": "Iron is. So (B)."}
STEPPED = {"question": LINE["question"], "choices": LINE["choices"], "answer": "B", "steps": ["Iron is.", "So (B)."]}


def read(folder: Path, *lines: object) -> TranscriptTask:
    return TranscriptTask(write_text(folder / "chains.jsonl", dump(*lines)))


def refuse(folder: Path, line: object) -> str:
    with pytest.raises(TaskError) as caught:
        read(folder, LINE, line)
    return str(caught.value)


def test_a_prompt_is_the_users_turn(tmp_path: Path) -> None:
    task = read(tmp_path, LINE | {"prompt": "A friend says (A). Which is a metal?\n(A) Wood\n(B) Iron\n(C) Glass"})
    [question] = task.all_questions
    expected = Prompt("A friend says (A). Which is a metal?\n(A) Wood\n(B) Iron\n(C) Glass", "")
    assert task.make_prompt(question, "cot") == task.make_prompt(question, "no_cot") == expected


def test_messages_keep_their_roles_and_the_first_words_of_the_reply(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1 + 1?"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "Which is a metal?"},
        {"role": "assistant", "content": "Let's see."},
    ]
    task = read(tmp_path, LINE | {"messages": messages})
    turns = (("system", "Be brief."), ("user", "1 + 1?"), ("assistant", "2"))
    [question] = task.all_questions
    assert task.make_prompt(question, "cot") == Prompt("Which is a metal?", "Let's see.", turns)


def test_a_raw_prompt_is_cut_around_its_question(tmp_path: Path) -> None:
    few_shot = "Which is a metal?\n(A) Wood\n(B) Iron\n(C) Glass\nIron.\n\n"
    task = read(tmp_path, LINE | {"raw_prompt": few_shot + PLAIN_PROMPT})
    [question] = task.all_questions
    user = "Which is a metal?\nAnswer choices:\n(A) Wood\n(B) Iron\n(C) Glass"
    frame = (f"{few_shot}user: ", "\nThink step by step.\n\n<think>\n")
    assert task.make_prompt(question, "cot") == Prompt(user, "", frame=frame)


def test_a_raw_prompt_without_the_question_is_kept_whole(tmp_path: Path) -> None:
    task = read(tmp_path, LINE | {"raw_prompt": "Name a metal: "})
    assert task.make_prompt(task.all_questions[0], "cot") == Prompt("", "", frame=("Name a metal: ", ""))


def test_one_question_under_two_prompts_is_two_questions(tmp_path: Path) -> None:
    task = read(
        tmp_path,
        LINE | {"id": "metal", "prompt": "One?"},
        LINE | {"id": "metal", "prompt": "Two?"},
        LINE | {"id": "metal", "prompt": "One?"},
    )
    assert [question.id for question in task.all_questions] == ["metal", "metal#2"]
    assert [(each.question.id, each.sample) for each in task.transcripts] == [
        ("metal", 0),
        ("metal#2", 0),
        ("metal", 1),
    ]
    assert task.make_prompt(task.all_questions[1], "cot").user == "Two?"


def test_other_orders_and_counterfactuals_are_put_into_the_given_prompt(tmp_path: Path) -> None:
    other = {"question": "Which is a tree?", "choices": ["Oak", "Iron", "Glass"], "answer": "A"}
    task = read(tmp_path, LINE | {"id": "m", "raw_prompt": HINTED_PROMPT, "counterfactual": other})
    [question] = task.all_questions
    turned = replace(question, choices=("Iron", "Glass", "Wood"), answer="A")
    frame = task.make_prompt(question, "cot").frame
    assert task.make_prompt(turned, "cot") == Prompt(
        "Which is a metal?\nAnswer choices:\n(A) Iron\n(B) Glass\n(C) Wood", "", frame=frame
    )
    counterfactual = task.draw_counterfactual(question, 0)
    assert counterfactual is not None
    assert task.make_prompt(counterfactual, "cot") == Prompt(
        "Which is a tree?\nAnswer choices:\n(A) Oak\n(B) Iron\n(C) Glass", "", frame=frame
    )


def test_steps_edits_answers_and_labels_stay_with_their_chain(tmp_path: Path) -> None:
    edits = [{"step": 1, "text": "So (A).", "by": "writer"}, {"step": 0, "text": "Wood is."}]
    line = STEPPED | {
        "edits": edits,
        "given_answer": "C",
        "labels": {"judge": True},
        "step_labels": {"rating": [None, 4]},
        "source": "mine",
        "n": 3,
    }
    task = read(tmp_path, line)
    [chain] = task.transcripts
    assert (chain.cot, chain.steps) == ("Iron is. So (B).", ("Iron is.", "So (B)."))
    assert chain.edits == (GivenEdit(1, "So (A).", "writer"), GivenEdit(0, "Wood is.", "given"))
    assert (chain.given_answer, chain.labels) == ("C", {"judge": True, "source": "mine", "n": 3})
    assert chain.step_labels == {"rating": (None, 4)}
    assert task.remarks == ("keys kept as columns: source, n",)


def test_a_key_that_looks_misspelled_is_kept_and_named(tmp_path: Path) -> None:
    assert read(tmp_path, LINE | {"finsh": "length"}).remarks == (
        "keys kept as columns: finsh (Did you mean 'finish'?)",
    )


def test_samples_have_keys_of_their_own(tmp_path: Path) -> None:
    base = {key: LINE[key] for key in ("question", "choices", "answer")}
    samples = [{"cot": "One.", "given_answer": "A"}, {"steps": ["Two.", "Three."], "mine": 1}]
    task = read(tmp_path, base | {"samples": samples, "all": 2})
    assert [(each.cot, each.given_answer, each.sample, dict(each.labels)) for each in task.transcripts] == [
        ("One.", "A", 0, {"all": 2}),
        ("Two. Three.", "", 1, {"all": 2, "mine": 1}),
    ]


def test_a_right_answer_may_be_unknown(tmp_path: Path) -> None:
    task = read(tmp_path, LINE | {"answer": None})
    assert task.all_questions[0].answer == ""
    assert "'answer' is null" in refuse(tmp_path, {"question": "1 + 1?", "answer": None, "cot": "2"})


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (LINE | {"schema_version": 3}, "'schema_version' is 3; this release reads the versions 1 to 2"),
        (LINE | {"prompt": "a", "raw_prompt": "b"}, "both 'prompt' and 'raw_prompt'"),
        (LINE | {"messages": []}, "'messages' is []"),
        (LINE | {"messages": [{"role": "robot", "content": "a"}]}, "the role of a message is \"robot\""),
        (LINE | {"messages": [{"role": "system", "content": "a"}]}, "the last message is of the role 'system'"),
        (LINE | {"edits": [{"step": 0, "text": "a"}]}, "'edits' without 'steps'"),
        (STEPPED | {"edits": [{"step": 2, "text": "a"}]}, "an edit of step 2; there are the steps 0 to 1"),
        (STEPPED | {"edits": [{"step": 0, "text": "a"}] * 2}, "two edits of step 0"),
        (STEPPED | {"edits": [{"step": 0}]}, "the 'text' of an edit is null"),
        (STEPPED | {"step_labels": {"x": [1]}}, "'x' of 'step_labels' has 1 entries, and there are 2 'steps'"),
        (STEPPED | {"steps": []}, "'steps' is []"),
        (LINE | {"labels": [1]}, "'labels' is [1]"),
        (LINE | {"samples": [{"cot": "a"}]}, "both 'cot' and 'samples'"),
        ({**STEPPED, "samples": [{"cot": "a"}]}, "'samples' and 'steps'"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_named(tmp_path: Path, line: object, fault: str) -> None:
    assert f"line 2: {fault}" in refuse(tmp_path, line)


def test_the_published_schema_accepts_what_is_read_and_names_every_key() -> None:
    schema = make_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    full: dict[str, Any] = STEPPED | {
        "schema_version": 2,
        "messages": [{"role": "user", "content": "a"}],
        "edits": [{"step": 0, "text": "a", "by": "b"}],
        "step_labels": {"x": [1, None]},
        "labels": {},
        "own": 1,
    }
    assert check.is_valid(full)
    assert check.is_valid(LINE)
    assert not check.is_valid({key: LINE[key] for key in ("question", "answer")})
    assert not check.is_valid(full | {"edits": [{"step": -1, "text": "a"}]})
    assert [*schema["properties"]] == [key.name for key in KEYS]


def test_fur_chains_are_read_with_all_their_mistakes(tmp_path: Path) -> None:
    second = make_mistake_line(step_idx=2, cot_step=STEPS[2], mistake_cot_step="So the answer is (A).")
    path = write_text(tmp_path / "sqa-x.jsonl.gz", dump(make_mistake_line(), second, make_mistake_line(id="q2")))
    task = TranscriptTask(path)
    first, _ = task.transcripts
    assert first.steps == tuple(STEPS)
    assert first.cot == " ".join(STEPS)
    assert first.edits == (
        GivenEdit(1, "Iron floats in water.", "writer-1"),
        GivenEdit(2, "So the answer is (A).", "writer-1"),
    )
    assert (first.question.choices, first.question.answer) == (("It floats.", "It sinks."), "")


def test_thought_branches_has_an_arm_for_each_prompt_and_chain(tmp_path: Path) -> None:
    problems = [
        make_problem(base_response_text="Glass.\n</think>\n\nTherefore, the best answer is: (C)."),
        make_problem(
            pn=8, question=PLAIN_PROMPT.replace("metal", "tree"), cue_text=HINTED_PROMPT.replace("metal", "tree")
        ),
    ]
    task = TranscriptTask(write_text(tmp_path / "professor.json", json.dumps(problems)))
    arms = {each.labels["arm"]: each for each in task.transcripts if each.labels["problem"] == "7"}
    assert [*arms] == ["cued", "through", "around", "uncued"]
    hinted = "user: The following was answered as (C) by a Stanford Professor.\n"
    for arm, before, thoughts in (
        ("cued", hinted, "Glass is hard. Metals are hard.\n"),
        ("through", "user: ", "Glass is hard. Metals are hard.\n"),
        ("around", hinted, "Glass.\n"),
        ("uncued", "user: ", "Glass.\n"),
    ):
        assert arms[arm].cot == thoughts
        prompt = task.make_prompt(arms[arm].question, "cot")
        assert prompt.frame == (before, "\nThink step by step.\n\n<think>\n")
    assert (arms["cued"].labels["says_hint"], arms["cued"].labels["hinted_answer"]) == (False, "C")
    assert {each.labels["arm"] for each in task.transcripts if each.labels["problem"] == "8"} == {"cued", "through"}


def test_a_problem_with_two_equal_options_is_left_out_and_named(tmp_path: Path) -> None:
    bad = make_problem(pn=9, question=PLAIN_PROMPT.replace("Glass", "Wood"))
    task = TranscriptTask(write_text(tmp_path / "professor.json", json.dumps([make_problem(), bad])))
    assert task.remarks == ("left out entry 1: two of its options are the same",)


def test_keys_that_are_null_are_keys_that_are_not_there(tmp_path: Path) -> None:
    """Tables write null where a row has nothing."""
    optional = [key.name for key in KEYS if key.name not in LINE]
    task = read(tmp_path, LINE | dict.fromkeys(optional) | {"rater": None}, LINE | {"rater": "x"})
    first, second = task.transcripts
    assert (first.question, first.cot, first.finish, first.labels) == (second.question, LINE["cot"], "stop", {})
    assert (second.labels, second.sample) == ({"rater": "x"}, 1)
    nulls = {**STEPPED, "steps": None, "samples": [{"cot": "a", "steps": None, "given_answer": "B", "rater": None}]}
    [sample] = read(tmp_path, nulls).transcripts
    assert (sample.cot, sample.given_answer, sample.labels) == ("a", "B", {})
    assert jsonschema.Draft202012Validator(make_json_schema()).is_valid(LINE | dict.fromkeys(optional))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [({"judge": "no"}, None), ({"judge": True}, {"judge": True}), ({"x": 1}, {"judge": True, "x": 1})],
)
def test_a_key_and_a_label_of_one_name_must_agree(tmp_path: Path, labels: dict, expected: dict | None) -> None:
    line = LINE | {"judge": True, "labels": labels}
    if expected is None:
        assert "line 2: the key 'judge' is true, and \"no\" in 'labels'; keep one" in refuse(tmp_path, line)
    else:
        assert read(tmp_path, line).transcripts[0].labels == expected


def test_packed_json_lines_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="Unpack the file first: gunzip"):
        TranscriptTask(write_text(tmp_path / "chains.jsonl.gz", dump(LINE)))


def test_samples_keep_keys_edits_and_steps_apart(tmp_path: Path) -> None:
    samples = [
        {"steps": STEPPED["steps"], "edits": [{"step": 0, "text": text, "by": by}], "step_labels": {"r": [1, None]}}
        for text, by in (("Wood is.", "a"), ("Glass is.", "b"))
    ]
    line = {key: LINE[key] for key in ("question", "choices", "answer")} | {"who": "all", "samples": samples}
    first, second = read(tmp_path, line | {"samples": [samples[0], samples[1] | {"who": "me"}]}).transcripts
    assert [each.edits for each in (first, second)] == [
        (GivenEdit(0, "Wood is.", "a"),),
        (GivenEdit(0, "Glass is.", "b"),),
    ]
    assert [(each.sample, each.labels) for each in (first, second)] == [(0, {"who": "all"}), (1, {"who": "me"})]
    assert second.step_labels == {"r": (1, None)}


def test_an_id_that_looks_like_that_of_a_second_prompt_keeps_its_question(tmp_path: Path) -> None:
    prompts = [f"{who} says so. Which is a metal?\n(A) Wood\n(B) Iron\n(C) Glass" for who in ("Ann", "Ben")]
    lines = [
        LINE | {"id": "q", "prompt": prompts[0]},
        LINE | {"id": "q#2", "question": "Which is a wood?", "choices": ["Oak", "Gold"], "answer": "A"},
        LINE | {"id": "q", "prompt": prompts[1]},
    ]
    task = read(tmp_path, *lines)
    assert [each.question.id for each in task.transcripts] == ["q", "q#2", "q#3"]
    assert [task.make_prompt(task.transcripts[i].question, "cot").user for i in (0, 2)] == prompts


def test_a_raw_prompt_of_a_chat_keeps_its_turns(tmp_path: Path) -> None:
    before, after = "<|im_start|>user\n", "\n<|im_end|>\n<|im_start|>assistant\n<think>\n"
    question = "Which is a metal?\n(A) Wood\n(B) Iron\n(C) Glass"
    task = read(tmp_path, LINE | {"raw_prompt": before + question + after, "cot": "Iron is.</think>\n(B)"})
    [chain] = task.transcripts
    assert (chain.cot, chain.reply) == ("Iron is.", "\n(B)")
    prompt = task.make_prompt(chain.question, "cot")
    assert (prompt.user, prompt.frame) == (question, (before, after))
