"""The committed table of architectures: a slice of it made again, and its counts."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from benchmarks.architectures import PAGE, Row, compare_backends, write_page


@pytest.mark.parametrize(
    ("kind", "packed", "separate"),
    [
        ("llama", "exact", "exact"), ("qwen2", "exact", "exact"), ("gemma3_text", "exact", "exact"),
        ("mistral", "exact", "exact"), ("olmo2", "exact", "exact"), ("gpt_oss", "exact", "exact"),
        ("deepseek_v3", "exact", "exact"), ("phimoe", "exact", "refused"), ("falcon", "exact", "exact"),
        ("opt", "exact", "exact"), ("xglm", "exact", "exact"), ("biogpt", "exact", "refused"),
        ("hyperclovax", "exact", "refused"), ("minicpm3", "exact", "refused"), ("ctrl", "exact", "refused"),
        ("mamba", "refused", "exact"), ("granitemoehybrid", "refused", "exact"), ("bart", "refused", "refused"),
    ],
)  # fmt: skip
def test_a_slice_of_the_table_of_architectures(kind: str, packed: str, separate: str) -> None:
    row: Row = compare_backends(kind)
    assert not row.is_silently_wrong
    assert (row.packed.split(",")[0].split(":")[0], row.separate.split(",")[0].split(":")[0]) == (packed, separate)
    committed = next(each for each in read_page(PAGE) if each.architecture == kind)
    if are_versions_those_of(PAGE):  # messages of other libraries change with their versions
        assert hide_sizes(row) == hide_sizes(committed)


def hide_sizes(row: Row) -> tuple[str, ...]:
    """The cells without the size of a difference, which is rounding."""
    return tuple(re.sub(r"^exact, \S+", "exact", cell) for cell in row.cells)


def read_page(page: Path) -> list[Row]:
    """The rows of docs/architectures.md."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    return [Row(*line.replace("&lt;", "<")[2:-2].split(" | ")) for line in lines]


def are_versions_those_of(page: Path) -> bool:
    """Whether the page was made with the installed libraries."""
    text = page.read_text(encoding="utf-8")
    return all(f"{name} {version(name)}" in text for name in ("transformers", "torch", "transformer-lens"))


def test_the_page_of_architectures_is_that_of_its_rows() -> None:
    """Its counts and its words; and it has a row for each architecture of these versions."""
    rows = read_page(PAGE)
    assert not any(row.is_silently_wrong for row in rows)
    if are_versions_those_of(PAGE):
        assert write_page(rows) == PAGE.read_text(encoding="utf-8")
        assert [row.architecture for row in rows] == sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
