"""The benchmarks by name."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from faithlens.commands.bench import capture, grid, internals, kernels, long, sweep, throughput
from faithlens.commands.bench.harness import BenchResult
from faithlens.errors import check_choice
from faithlens.model.model import Model

BENCHMARKS: dict[str, Callable[[Model, int], BenchResult]] = {
    "capture": capture.measure,
    "sweep": sweep.measure,
    "sweep-long": partial(sweep.measure, long=True),
    "grid": grid.measure,
    "internal": internals.measure,
    "throughput": throughput.measure,
    "kernels": kernels.measure,
    "long": long.measure,
}
DEFAULT_BENCHMARKS = ("capture", "sweep", "grid")
"""The benchmarks of what hooks cost and save. The others take longer, or say less about a model."""


def check_benchmarks(names: Sequence[str]) -> None:
    """Check that each benchmark is known. Raises ConfigError with the nearest name."""
    for name in names:
        check_choice(name, BENCHMARKS, "benchmark")


def run_benchmarks(model: Model, names: Sequence[str] = DEFAULT_BENCHMARKS, repeats: int = 3) -> Iterator[BenchResult]:
    """Run one benchmark after the other.

    Raises:
        BenchmarkError: the implementations do not give the same numbers, so nothing is timed.
        ConfigError: there is no such benchmark.
    """
    check_benchmarks(names)
    for name in names:
        yield BENCHMARKS[name](model, repeats)
