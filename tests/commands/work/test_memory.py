"""A worker needs as much memory for its last question as for its first ones."""

import gc
import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from faithlens.commands.work.run import work_on_run
from faithlens.store import Run
from tests.commands.work.runs import CONFIG, prepare

N_UNITS, N_FIRST = 20, 10
MOST_BYTES = 10_000
"""What a finished question may leave, such as entries of caches: 3,400 bytes when this was written."""


def test_memory_does_not_grow_with_the_number_of_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, held = Run.write_unit, list[tuple[int, int]]()

    def look_and_write(run: Run, key: str, tables: Mapping, *inputs: object, **options: object) -> bool:
        is_kept = write(run, key, tables, *inputs, **options)  # type: ignore[arg-type]
        gc.collect()
        tensors = sum(isinstance(each, torch.Tensor) for each in gc.get_objects())
        held.append((tracemalloc.get_traced_memory()[0], tensors))
        return is_kept

    monkeypatch.setattr(Run, "write_unit", look_and_write)
    config = replace(CONFIG, subjects=CONFIG.subjects[:1], n=N_UNITS, batch=1, assays=("early_answering",))
    path = prepare(tmp_path / "run", config)
    tracemalloc.start()
    try:
        assert len(work_on_run(path).done) == N_UNITS
    finally:
        tracemalloc.stop()
    (first, tensors), (last, tensors_at_the_end) = held[N_FIRST], held[N_UNITS]
    assert tensors_at_the_end == tensors
    assert last - first < MOST_BYTES * (N_UNITS - N_FIRST)
