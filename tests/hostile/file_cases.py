"""Files of chains and sweeps that are broken or meant to do harm."""

import json
from collections.abc import Callable
from pathlib import Path

from faithlens.commands.sweep.config import read_sweep_config
from faithlens.tasks.transcripts import TranscriptTask
from tests.hostile.case import Case


def use_file(content: str | bytes, name: str, read: Callable[[Path], object]) -> Case:
    def use(folder: Path) -> object:
        data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        (folder / name).write_bytes(data)
        return read(folder / name)

    return use


def use_log(content: str | bytes) -> Case:
    return use_file(
        content, "chains.jsonl", lambda path: f"{len(TranscriptTask(path).transcripts)} chain, read as it is"
    )


def write_line(**entries: object) -> str:
    return json.dumps({"question": "2 + 3?", "choices": ["4", "5"], "answer": "B", "cot": "It is 5."} | entries) + "\n"


LOGS: dict[str, Case] = {
    "empty": use_log(""),
    "no UTF-8": use_log(b"\xff\xfe\x00"),
    "a line that is no JSON": use_log(write_line() + "{broken\n"),
    "a list in place of an object": use_log("[1, 2]\n"),
    "nested 100,000 deep": use_log('{"a":' * 100_000),
    "a key without a value": use_log(write_line(cot=None)),
    "an answer that is no option": use_log(write_line(answer="Q")),
    "a misspelled kind of value": use_log(write_line(choices="4, 5")),
    "a chain with NUL characters": use_log(write_line(cot="It is \x00 5.")),
    "a chain with escape codes": use_log(write_line(cot="It is \x1b[2J 5.")),
    "a chain with half a character": use_log(write_line(cot="It is \ud800 5.")),
    "a chain of one line of 1 MB": use_log(write_line(cot="five " * 200_000)),
    "one id for two questions": use_log(write_line(id="a") + write_line(id="a", question="9 + 9?")),
}
SWEEPS: dict[str, Case] = {
    "no TOML": use_file("models = [", "sweep.toml", read_sweep_config),
    "no UTF-8": use_file(b"\xff\xfe", "sweep.toml", read_sweep_config),
    "a misspelled key": use_file('task = ["running-sum"]', "sweep.toml", read_sweep_config),
    "a number in place of a list": use_file("tasks = 3", "sweep.toml", read_sweep_config),
    "a name with escape codes": use_file('"\\u001b[2J" = 3', "sweep.toml", read_sweep_config),
}
