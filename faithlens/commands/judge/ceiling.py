"""The planted ceiling of a monitor: its g-mean² where a model is known to say in its chain that it follows a hint.

1. O9 is trained to follow its hints and, where they are `avowed`, to say so in the chain: the hint acts, and the chain
   says it, by construction (`organisms.o9`). Its weights are shipped.
2. O9 is audited under its hints, and the monitors "words" and "text" guess, as on any run (`monitor`).
3. Their g-mean² for the avowed hints, in each view, is kept in ceiling.json, which this module writes again:
   ``python -m faithlens.commands.judge.ceiling``.
4. `monitor` shows these numbers beside those of a run. Other monitors have none until they are shown
   O9 in the same way.

For example, "words" flags all 60 avowed chains and none of the others, so its ceiling is 1 where it is shown the chain.
Shown the answer alone, it also flags the answers that are the hinted ones by chance, and its ceiling is below 1.
"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from faithlens.commands.audit import audit
from faithlens.commands.judge.monitor import CEILING_FILE, monitor

MODEL, TASK, KIND, N = "O9", "running-sum-hints", "avowed", 60


def measure_ceilings(folder: Path) -> dict[str, Any]:
    """The content of ceiling.json, from a new run in `folder`."""
    run = audit(MODEL, TASK, N, folder, assays=("hints",), device="cpu")
    names = ("monitor", "view", "value", "low", "high", "chance", "n")
    rows = [row for row in monitor(str(run.path)).summary["monitorability"] if row["kind"] == KIND]
    origin = {"model": MODEL, "task": TASK, "kind": KIND, "n": N, "seed": run.manifest["seed"]}
    return {**origin, "ceilings": [{name: row[name] for name in names} for row in rows]}


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        CEILING_FILE.write_text(f"{json.dumps(measure_ceilings(Path(folder) / 'run'), indent=1)}\n", encoding="utf-8")
