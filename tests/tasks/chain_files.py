"""Files of chains of thought for the tests of their readers."""

import json
from pathlib import Path
from typing import Any

import pytest

from faithlens.errors import TaskError
from faithlens.tasks.transcripts import TranscriptTask


def write(folder: Path, *lines: object, name: str = "chains.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(TaskError) as caught:
        TranscriptTask(path)
    return str(caught.value)


def make_log_entry(doc: object, target: str, *texts: str, id_: int = 0, **more: object) -> dict[str, Any]:
    """A line as lm-evaluation-harness 0.4.13 writes it, hashes and metrics left out."""
    return {
        "doc_id": id_,
        "doc": doc,
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": f"Q: {doc}\nA: Let's think step by step.", "arg_1": {"until": ["Q:"]}}},
        "resps": [list(texts)],
        "filtered_resps": ["[invalid]"],
        "filter": "strict-match",
        "metrics": ["exact_match"],
        "exact_match": 0.0,
    } | more
