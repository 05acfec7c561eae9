"""What the tests of sweeps write into their files."""

from pathlib import Path

EARLY, SHARE = "early_answering.aoc_mean_0_to_n-1", "mediation.content_share"
N = 5
OPTIONS = f"""
tasks = ["running-sum"]
n = {N}
device = "cpu"
assays = ["early_answering", "mediation"]
measures = ["{EARLY}", "{SHARE}"]
sampling = {{max_new_tokens = 60}}
"""
KNOWN = '[families.null]\nmodels = ["O4"]\n[families.read]\nmodels = ["O5"]\n'


def write_config(folder: Path, text: str) -> Path:
    path = folder / "sweep.toml"
    path.write_text(text, encoding="utf-8")
    return path
