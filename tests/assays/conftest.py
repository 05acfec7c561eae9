"""Questions for the tests of assays."""

import json

import pytest

from faithlens.tasks.jsonl import JsonLines


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> JsonLines:
    """Short sums with four options, whose right ones stand anywhere."""
    lines = []
    for i in range(12):
        options = [str(i + j) for j in range(4)]
        lines.append(
            json.dumps({"question": f"{i}+0?", "choices": options[i % 4 :] + options[: i % 4], "answer": str(i)})
        )
    path = tmp_path_factory.mktemp("task") / "sums.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return JsonLines(path)
