"""The card of an exported run: what Hugging Face reads off the top of README.md, and what a person reads below it."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from faithlens.report.words import WORDS
from faithlens.store import Run

_KEYS = {
    "model": "what the model is called on the command line",
    "task": "the task, or the file of questions",
    "question": "the question's id, unique within the task",
    "sample": "which of the chains of thought written for the question, from 0",
}
_NUMBERS = {
    "unit": "what `value` is in; see below",
    "value": "the number; missing where it is undefined",
    "reason": "why there is no value",
    "fraction": "where along the chain of thought a point of a curve lies, 0 to 1",
    "step": "the reasoning step a number speaks of, from 0",
}
COLUMNS: dict[str, dict[str, str]] = {
    "scores": _KEYS
    | _NUMBERS
    | {
        "condition": "the edited version of the chain of thought that was answered",
        "measure": "what was measured; see below",
    },
    "estimates": _KEYS
    | _NUMBERS
    | {
        "measure": "what was measured; the value is its mean over questions",
        "low": "lower end of the 95% interval",
        "high": "upper end of the 95% interval",
        "n_used": "questions that gave a number",
        "n_dropped": "questions that gave none",
        "method": "how the interval was made",
        "seed": "of the bootstrap",
    },
    "traces": _KEYS
    | {
        "prompt": "the rendered prompt",
        "cot": "the chain of thought",
        "steps": "the chain of thought cut into steps; joined, they are `cot`",
        "answer": "the right answer",
        "predicted": "the candidate answer with the highest probability after the chain of thought",
        "candidates": "the answers that are scored",
        "stem": "the words after the chain of thought that force an answer",
        "finish": '"stop" if the model ended its chain of thought, "length" if it was cut off at the token limit',
        "n_tokens": "tokens of prompt and chain of thought",
        "seed": "of this chain of thought; of an imported one, the number of its sample",
        "temperature": "of sampling; 0 is greedy",
        "top_p": "nucleus of sampling",
    },
}
"""What each column means, by table."""

UNITS = {
    "probability": "of an answer, renormalised over the candidate answers, or a difference of two; -1 to 1",
    "fraction": "a share, a rate, or yes (1) and no (0)",
    "nat": "log-probability to the base e",
    "logit": "log-odds, or a raw output of the model",
    "token": "a number of tokens",
}

_FLAGS = {
    "n": "-n",
    "seed": "--seed",
    "max_new_tokens": "--max-new-tokens",
    "temperature": "--temperature",
    "top_p": "--top-p",
    "dtype": "--dtype",
    "backend": "--backend",
    "min_faithfulness": "--min-faithfulness",
    "min_accuracy": "--min-accuracy",
}


def card(run: Run, columns: Mapping[str, Sequence[str]]) -> str:
    """README.md of a dataset folder whose tables have these `columns`, the table that is read by default first."""
    manifest = run.manifest
    subjects = [f"- {s['model']} on {s['task']}: {s['verdict']}" for s in run.read_json("verdict.json")["subjects"]]
    measures = sorted(set(run.read("scores")["measure"]))
    return "\n".join(
        [
            *_header(columns),
            "",
            "# Does the chain of thought drive the answer?",
            "",
            "One run of faithlens: chains of thought, what editing them does to the answer, and what the numbers are "
            "worth.",
            "",
            *subjects,
            "",
            "## Columns",
            *_columns(columns),
            "",
            "## Units",
            "",
            *(f"- `{unit}`: {meaning}" for unit, meaning in UNITS.items()),
            "",
            "## Measures",
            "",
            *(f"- `{m}`: {WORDS[m].meaning}" if m in WORDS else f"- `{m}`" for m in measures),
            "",
            "## How it was made",
            "",
            *_block("sh", *commands(manifest["config"])),
            "",
            *_block("json", json.dumps(manifest, indent=2, ensure_ascii=False)),
            "",
        ]
    )


def commands(config: Mapping[str, Any]) -> Iterator[str]:
    """The command lines, one a subject, that ask for the same run."""
    options = {**config, **config.get("sampling", {})}
    flags = [part for key, flag in _FLAGS.items() if options.get(key) is not None for part in (flag, str(options[key]))]
    for subject in config.get("subjects", []):
        yield shlex.join(["faithlens", "audit", "--model", subject["model"], "--task", subject["task"], *flags])


def _header(columns: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield from ("---", "# license: which licence the texts may be passed on under is yours to say", "configs:")
    for i, table in enumerate(columns):
        yield from (f"- config_name: {table}", f"  data_files: data/{table}.parquet")
        yield from ["  default: true"] if i == 0 else []
    yield from ("tags:", "- faithlens", "- chain-of-thought", "- interpretability", "---")


def _columns(columns: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for table, names in columns.items():
        yield from ("", f"### {table}", "")
        yield from (f"- `{name}`: {COLUMNS[table][name]}" for name in names)


def _block(language: str, *lines: str) -> list[str]:
    return [f"```{language}", *lines, "```"]
