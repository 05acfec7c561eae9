"""The card of an exported run: what Hugging Face reads off the top of README.md, and what a person reads below it."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from faithlens.measures.catalogue import UNITS, get_measure
from faithlens.store import Run

_KEY_MEANINGS = {
    "model": "what the model is called on the command line",
    "task": "the task, or the file of questions",
    "question": "the question's id, unique within the task",
    "sample": "which of the chains of thought written for the question, from 0",
}
_NUMBER_MEANINGS = {
    "unit": "what `value` is in; see below",
    "value": "the number; missing where it is undefined",
    "reason": "why there is no value",
    "fraction": "where along the chain of thought a point of a curve lies, 0 to 1",
    "step": "the reasoning step that a number describes, from 0",
}
FROM_FILE = "what the file of an imported chain says of it"
COLUMN_MEANINGS: dict[str, dict[str, str]] = {
    "scores": _KEY_MEANINGS
    | _NUMBER_MEANINGS
    | {
        "condition": "the edited version of the chain of thought that was answered",
        "measure": "what was measured; see below",
        "weight": "how many steps the step stands for; above 1 where only some steps of a long chain were edited",
    },
    "estimates": _KEY_MEANINGS
    | _NUMBER_MEANINGS
    | {
        "measure": "what was measured; the value is its mean over questions",
        "low": "lower end of the 95% interval",
        "high": "upper end of the 95% interval",
        "n_used": "questions that gave a number",
        "n_dropped": "questions that gave none",
        "method": "how the interval was made",
        "seed": "the seed of the draws behind the interval",
    },
    "edits": _KEY_MEANINGS
    | {
        "condition": "the edited version that the edit stands in",
        "step": "the step that was rewritten, from 0",
        "kind": "mistake, paraphrase or propagation",
        "by": "who wrote it: the task, the model, or the editor's name",
        "before": "the step's words",
        "after": "the words in their place; empty where none were written",
        "tail": "what was written after them; empty where the rest stayed",
        "invalid": "why the edit is not what it was meant to be, and was not scored",
        "implied": "the answer that follows from the edited words, where the task can tell",
        "answer": "the answer that was given",
        "outcome": "follows, repairs, ignores, harmless or other",
    },
    "traces": _KEY_MEANINGS
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
        "seed": "the seed of this chain of thought; of an imported one, the number of its sample",
        "said": "what a reasoning model wrote after its thoughts",
        "counterfactual": "the counterfactual question; empty where there is none",
        "counterfactual_source": "where it comes from: task, file, donor (another question) or number (one is changed)",
        "given_answer": "the answer that the model gave when an imported chain was published",
        "temperature": "the temperature of sampling; 0 is greedy",
        "top_p": "the probability mass from which tokens were sampled",
    },
}
"""What each column means, by table."""

_OPTION_FLAGS = {
    "n": "-n",
    "suite": "--suite",
    "assays": "--assays",
    "traces": "--traces",
    "samples": "--samples",
    "editor": "--editor",
    "regenerations": "--regenerations",
    "points": "--points",
    "ends": "--ends",
    "batch": "--batch",
    "seed": "--seed",
    "max_new_tokens": "--max-new-tokens",
    "temperature": "--temperature",
    "top_p": "--top-p",
    "dtype": "--dtype",
    "sampler": "--sampler",
    "sampler_url": "--sampler-url",
    "backend": "--backend",
    "max_unfaithful": "--max-unfaithful",
    "min_accuracy": "--min-accuracy",
}


def make_card(run: Run, columns: Mapping[str, Sequence[str]]) -> str:
    """README.md of a dataset folder whose tables have these `columns`, the table that is read by default first."""
    manifest = run.origin
    subjects = [f"- {s['model']} on {s['task']}: {s['verdict']}" for s in run.read_json("verdict.json")["subjects"]]
    measures = sorted(set(run.read("scores")["measure"]))
    return "\n".join(
        [
            *_make_header(columns),
            "",
            "# Does the chain of thought drive the answer?",
            "",
            "One run of faithlens: chains of thought, what editing them does to the answer, and what the numbers are "
            "worth.",
            "",
            *subjects,
            "",
            "## Columns",
            *_describe_columns(columns),
            "",
            "## Units",
            "",
            *(f"- `{unit}`: {meaning}" for unit, meaning in UNITS.items()),
            "",
            "## Measures",
            "",
            *(f"- `{name}`: {get_measure(name).meaning}" for name in measures),
            "",
            "## How it was made",
            "",
            *_make_code_block("sh", *list_commands(manifest["config"])),
            "",
            *_make_code_block("json", json.dumps(manifest, indent=2, ensure_ascii=False)),
            "",
        ]
    )


def list_commands(config: Mapping[str, Any]) -> Iterator[str]:
    """The command lines, one a subject, that ask for the same run."""
    options = {**config, **config.get("sampling", {})}
    options["assays"] = ",".join(options.get("assays") or ()) or None
    options |= {name: options[name] or 0 for name in ("regenerations", "points") if name in options}  # 0: all steps
    flags = [
        part
        for key, flag in _OPTION_FLAGS.items()
        if options.get(key) is not None
        for part in (flag, str(options[key]))
    ]
    for subject in config.get("subjects", []):
        task = [] if options.get("traces") else ["--task", subject["task"]]
        name = subject["model"]
        model = [
            config.get("sources", {}).get(name, name),
            *(["--name", name] if name in config.get("sources", {}) else []),
        ]
        yield shlex.join(["faithlens", "audit", "--model", *model, *task, *flags])


def _make_header(columns: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield from ("---", "# license: state here under which licence the texts may be passed on", "configs:")
    for i, table in enumerate(columns):
        yield from (f"- config_name: {table}", f"  data_files: data/{table}.parquet")
        yield from ["  default: true"] if i == 0 else []
    yield from ("tags:", "- faithlens", "- chain-of-thought", "- interpretability", "---")


def _describe_columns(columns: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for table, names in columns.items():
        yield from ("", f"### {table}", "")
        yield from (f"- `{name}`: {COLUMN_MEANINGS[table].get(name, FROM_FILE)}" for name in names)


def _make_code_block(language: str, *lines: str) -> list[str]:
    return [f"```{language}", *lines, "```"]
