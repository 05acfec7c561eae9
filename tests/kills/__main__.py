"""Kill audits and workers: ``python -m tests.kills --runs 20``, with ``--kind workers`` or ``--kind writes``."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.kills.runner import SCENARIOS, Outcome, kill_at_writes, kill_audits, kill_workers

KINDS = ("audits", "workers", "writes")


def main() -> int:
    """Print one line a run, and end with 1 if any ended otherwise than an undisturbed one."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="runs, each of which is killed several times")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    parser.add_argument("--kind", choices=KINDS, default=KINDS[0], help="what is killed; writes: at every write")
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, help="with writes: only this one")
    options = parser.parse_args()
    runs = faults = kills = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outcomes = {
            "audits": lambda: kill_audits(options.runs, options.seed, folder),
            "workers": lambda: kill_workers(options.runs, options.seed, folder),
            "writes": lambda: kill_scenarios(options.scenario or list(SCENARIOS), folder),
        }[options.kind]()
        for outcome in outcomes:
            runs, faults, kills = runs + 1, faults + (outcome.fault is not None), kills + outcome.kills
            words = f"killed {outcome.kills} times, {outcome.done} units done: {outcome.fault or 'the same bytes'}\n"
            sys.stdout.write(words)
            sys.stdout.flush()
    sys.stdout.write(f"{runs} runs, {kills} kills, {faults} faults\n")
    return int(faults > 0)


def kill_scenarios(names: list[str], folder: Path) -> Iterator[Outcome]:
    """Every write of each scenario."""
    for name in names:
        sys.stdout.write(f"{name}:\n")
        (folder / name).mkdir()
        yield from kill_at_writes(name, folder / name)


if __name__ == "__main__":
    sys.exit(main())
