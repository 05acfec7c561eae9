"""Measure subjects by name."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from faithlens.bench import capture, grid, internal, kernels, sweep, throughput
from faithlens.bench.harness import Result
from faithlens.errors import ConfigError, nearest
from faithlens.runtime.model import Lens

SUBJECTS: dict[str, Callable[[Lens, int], Result]] = {
    "capture": capture.measure,
    "sweep": sweep.measure,
    "sweep-long": partial(sweep.measure, long=True),
    "grid": grid.measure,
    "internal": internal.measure,
    "throughput": throughput.measure,
    "kernels": kernels.measure,
}
USUAL = ("capture", "sweep", "grid")  # what hooks cost and save; the others take longer or say less about a model


def bench(lens: Lens, names: Sequence[str] = USUAL, repeats: int = 3) -> Iterator[Result]:
    """Measure one subject after the other.

    Raises:
        BenchmarkError: rivals do not give the same numbers, so nothing is timed.
        ConfigError: there is no such subject.
    """
    for name in names:
        if name not in SUBJECTS:
            raise ConfigError(f"the benchmark {name!r}", "no subject of that name", nearest(name, SUBJECTS))
    for name in names:
        yield SUBJECTS[name](lens, repeats)
