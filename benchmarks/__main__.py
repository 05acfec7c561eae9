"""Measure what the project promises, keep the numbers, and write them into README.md here and into the figure.

`python -m benchmarks` measures everything, `python -m benchmarks grid sweep` some of it, and `python -m benchmarks
--figure` draws the figure again from the numbers that are kept.
"""

import argparse
import json
from pathlib import Path

import faithlens as fl
from benchmarks.figure import draw
from faithlens.commands.bench.benchmarks import BENCHMARKS, run_benchmarks
from faithlens.commands.bench.long import SIZES
from faithlens.commands.bench.table import Limit, format_result

HERE = Path(__file__).parent
README, RESULTS = HERE / "README.md", HERE / "results"
BARS: dict[str, dict[str, Limit]] = {
    "sweep": {
        "TransformerLens loop / faithlens, packed": ("at least", 8.0),
        "TransformerLens loop, keys and values kept / faithlens, packed": ("at least", 2.0),
    },
    "sweep-long": {"TransformerLens loop / faithlens, packed": ("at least", 30.0)},
    "grid": {
        "TransformerLens / faithlens, all cells": ("at least", 10.0),
        "clean and 12 knockouts / one forward": ("at most", 1.5),
        "12 splices alone / one forward": ("at most", 1.5),
    },
    "internal": {
        "tier 1 but gradients / one forward": ("at most", 6.0),
        "integrated gradients, 5 midpoints / one forward": ("at most", 18.0),
        "residual grid, one mode / one forward": ("at most", 65.0),
        "tiers 1 and 2 / one forward": ("at most", 120.0),
    },
    "capture": {
        "faithlens, pooled attention of answer and step ends / bare": ("at most", 1.10),
        "faithlens, pooled attention of every token / bare": ("at most", 1.30),
        "activation comparison and logit lens on top / bare": ("at most", 0.10),
    },
    "throughput": {"tokens a second, packed / bare": ("at least", 0.9)},
    "kernels": {},
    "long": {
        f"{what}, {tokens:,} tokens": limit
        for tokens, _ in SIZES
        for what, limit in (
            ("early answering, plan / packed pass", ("at most", 0.05)),
            ("knockouts, plan / packed pass", ("at most", 0.05)),
            ("early answering / one forward", ("at most", 1.5)),
            ("knockouts / one forward", ("at most", 1.6)),
            ("peak memory, predicted / measured", ("at most", 1.2)),
        )
    },
}
ON_A_GPU: dict[str, dict[str, Limit]] = {
    "kernels": {"tree_attention / torch's causal attention, visible pairs a second": ("at least", 0.8)},
}


def bars(result: dict) -> dict[str, Limit]:
    """What is wanted of a result."""
    return (BARS if result["environment"]["device"] == "cpu" else BARS | ON_A_GPU)[result["subject"]]


def read_results() -> dict[str, dict]:
    """The results on file, by subject."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}


def keep(subject: str, result: dict) -> None:
    """Write a subject's numbers to its file, and its table into the README, between the subject's two marks.

    What a GPU gave has files and marks of its own, and does not take the place of what a CPU gave.
    """
    subject += "" if result["environment"]["device"] == "cpu" else "-gpu"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{subject}.json").write_text(json.dumps(result, indent=2) + "\n")
    mark = f"<!-- {subject} -->"
    before, _, after = README.read_text().split(mark)
    README.write_text(f"{before}{mark}\n{format_result(result, bars(result))}\n{mark}{after}")


def main(subjects: list[str], model_name: str, device: str, dtype: str, repeats: int, figure: bool) -> None:
    if not figure:
        model = fl.load(model_name, device=device, dtype=dtype)
        names = subjects or list(BENCHMARKS)
        for name, result in zip(names, run_benchmarks(model, names, repeats), strict=True):
            keep(name, result.to_dict())
            print(format_result(result.to_dict(), bars(result.to_dict())), flush=True)
    drawn = {name: result for name, result in read_results().items() if result["environment"]["device"] == "cpu"}
    draw(drawn, {name: bars(result) for name, result in drawn.items()}).write_image(
        RESULTS / "ratios.svg", width=900, height=520
    )


if __name__ == "__main__":
    requested = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    requested.add_argument("subjects", nargs="*", metavar="subject", help=", ".join(BENCHMARKS))
    requested.add_argument("--model", dest="model_name", default="smollm2-135m")
    requested.add_argument("--device", default="auto")
    requested.add_argument("--dtype", default="float32")
    requested.add_argument("--repeats", type=int, default=5)
    requested.add_argument("--figure", action="store_true", help="measure nothing, only draw")
    main(**vars(requested.parse_args()))
