"""Logs of evaluations by Inspect become transcripts."""

import random
import sys
from pathlib import Path

import pytest

from faithlens.tasks.question import Question
from faithlens.tasks.transcripts import TranscriptTask
from tests.tasks.chain_files import refusal, write
from tests.tasks.inspect_logs import evaluate


def test_without_inspect_a_log_is_refused_with_the_way_to_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    message = refusal(tmp_path / "one.eval")
    assert "inspect-ai is not installed" in message
    assert "pip install 'faithlens[inspect]'" in message


def test_logs_of_inspect_are_read_with_epochs_as_samples(tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")
    from inspect_ai.model import ContentReasoning, ContentText

    replies = [
        ("3 + 4 = 7. ANSWER: B", "stop"),
        ([ContentReasoning(reasoning="I add 3 and 4."), ContentText(text="ANSWER: B")], "max_tokens"),
        ([ContentReasoning(reasoning="I ad"), ContentText(text="")], "max_tokens"),
        ("<think>3 + 4 is 7.</think>\n\nANSWER: B", "stop"),
        ("3 + ", "max_tokens"),
    ]
    sample = {"id": "nuts", "input": "3 + 4?", "choices": ["6", "7"], "target": "B"}
    result = TranscriptTask(evaluate(tmp_path, replies, [sample], epochs=5)).transcripts
    assert {t.question for t in result} == {Question("sample-nuts", "3 + 4?", ("A", "B"), "B", ("6", "7"))}
    assert [t.sample for t in result] == [0, 1, 2, 3, 4]
    assert {(t.cot, t.finish) for t in result} == {
        ("3 + 4 = 7. ANSWER: B", "stop"),
        ("I add 3 and 4.", "stop"),
        ("I ad", "length"),
        ("3 + 4 is 7.", "stop"),
        ("3 + ", "length"),
    }


def test_messages_as_input_and_free_form_targets_of_inspect(tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")
    from inspect_ai.model import ChatMessageSystem, ChatMessageUser

    messages = [ChatMessageSystem(content="Be short."), ChatMessageUser(content="600 + 600?")]
    [result] = TranscriptTask(
        evaluate(tmp_path, [("1200", "stop")], [{"input": messages, "target": ["1,200"]}])
    ).transcripts
    assert (result.question.text, result.question.answer, result.cot) == ("600 + 600?", "1200", "1200")


def test_broken_samples_of_inspect_are_named_together(tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")
    from inspect_ai.model import ContentReasoning

    replies = [("a", "stop"), ("b", "stop"), ([ContentReasoning(reasoning="xyz", redacted=True)], "stop")]
    samples = [{"id": i, "input": f"{i}?", "target": t} for i, t in enumerate(["Paris", ["1", "2"], "3"])]
    message = refusal(evaluate(tmp_path, replies, samples))
    assert "3 bad samples" in message
    assert 'sample 0, epoch 1: target "Paris" is no number' in message
    assert "sample 1, epoch 1: 2 right answers" in message


def test_a_file_that_is_no_log_of_inspect_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")
    for name in ("one.json", "one.eval"):
        assert "no log of Inspect" in refusal(write(tmp_path, "{}", name=name))


def test_the_output_of_an_inspect_sample_is_read_and_never_its_prompt(tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")
    from inspect_ai.log import read_eval_log, write_eval_log
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser

    shots = [
        ChatMessageUser(content="1 + 1?"),
        ChatMessageAssistant(content="Example: 2."),
        ChatMessageUser(content="2 + 2?"),
    ]
    path = evaluate(tmp_path, [("It is 4.", "stop")], [{"id": "sum", "input": shots, "target": "4"}])
    assert [t.cot for t in TranscriptTask(path).transcripts] == ["It is 4."]
    log = read_eval_log(str(path))
    assert log.samples is not None
    [sample] = log.samples
    sample.output = sample.output.model_copy(deep=True)
    sample.output.choices[0].message.content = "ANSWER: A"
    write_eval_log(log, str(tmp_path / "replaced.json"))
    assert "sample sum, epoch 1: its reply was replaced" in refusal(tmp_path / "replaced.json")
    sample.output.choices = []
    sample.messages = sample.messages[:3]
    write_eval_log(log, str(tmp_path / "failed.json"))
    assert "only the prompt" in refusal(tmp_path / "failed.json")
    log.samples, log.status = [], "error"
    write_eval_log(log, str(tmp_path / "error.json"))
    assert "an evaluation that itself did not finish (status 'error'" in refusal(tmp_path / "error.json")


def test_options_that_a_solver_of_inspect_shuffles_stand_as_the_model_saw_them(tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")
    from inspect_ai.log import read_eval_log, write_eval_log
    from inspect_ai.scorer import choice
    from inspect_ai.solver import multiple_choice

    def reply(prompt: str) -> tuple[str, str]:
        letter = next(line[0] for line in prompt.splitlines() if line[1:] == ") 7")
        return (
            (f"I add them, {'one by one, ' * 20}and it is {letter}.", "stop")
            if "Hide" in prompt
            else (
                f"3 + 4 = 7.\nANSWER: {letter}",
                "stop",
            )
        )

    samples = [
        {"id": name, "input": f"3 + 4? {name}", "choices": ["6", "7", "8", "a\nb"], "target": "B"}
        for name in ("Say", "Hide")  # only a reply with an answer in it is replaced by Inspect
    ]
    solver = multiple_choice(shuffle=random.Random(3))
    path = evaluate(tmp_path, reply, samples, epochs=6, solver=solver, scorer=choice())
    result = TranscriptTask(path).transcripts
    assert len(result) == 12
    assert len({t.question.choices for t in result}) > 3
    for each in result:
        assert sorted(each.question.choices) == ["6", "7", "8", "a\nb"]
        assert each.question.choices["ABCD".index(each.question.answer)] == "7"
        assert each.cot.rstrip(".")[-1] == each.question.answer
    log = read_eval_log(str(path))
    assert log.samples is not None
    for sample in log.samples:
        sample.events = []
    write_eval_log(log, str(tmp_path / "bare.json"))
    task = TranscriptTask(tmp_path / "bare.json", skip_bad=True)
    assert {t.question.text for t in task.transcripts} == {"3 + 4? Hide"}
    for each in task.transcripts:
        assert each.cot.rstrip(".")[-1] == each.question.answer
    assert list(task.left_out.values()) == [6]


def test_failed_withheld_and_doubled_samples_of_inspect_are_left_out_on_request(tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")
    from inspect_ai.log import EvalError, read_eval_log, write_eval_log
    from inspect_ai.model import ContentReasoning

    redacted = [ContentReasoning(reasoning="xyz", redacted=True)]
    replies = [("3.", "stop"), (redacted, "stop"), ("4.", "content_filter"), ("5.", "stop"), ("6.", "stop")]
    samples = [{"id": f"s{i}", "input": f"{i} + 0?", "target": str(i)} for i in range(5)]
    log = read_eval_log(str(evaluate(tmp_path, replies, samples)))
    assert log.samples is not None
    log.samples[3].error = EvalError(message="boom; again", traceback="", traceback_ansi="")
    log.samples[4].output = log.samples[4].output.model_copy(update={"error": "overloaded"})
    log.samples.append(log.samples[0])
    write_eval_log(log, str(tmp_path / "some.json"))
    task = TranscriptTask(tmp_path / "some.json", skip_bad=True)
    assert len(task.transcripts) == 1
    assert task.left_out == {
        "the samples at places ... and ... of the log have one id and epoch": 1,
        "its reasoning was withheld by the provider": 1,
        "its reply was withheld by a filter of the provider": 1,
        "the evaluation failed on this sample (...)": 1,
        "the call of the model failed (...)": 1,
    }
    assert "has 5 bad samples; nothing was loaded" in refusal(tmp_path / "some.json")
