"""Which mechanism was planted in a real language model, by an adapter that is trained on top of it?

`ADAPTERS` lists low-rank adapters (Hu et al. 2021, arXiv:2106.09685, section 4) of SmolLM2-135M-Instruct. Their truth
is stated by mechanism, as for the other organisms, and counted by `certify_adapter`. The adapters are in the package;
`load("L1")` adds one to the base model, and `faithlens organisms train L1 --seeds 1` trains another.
"""

from pathlib import Path

from faithlens.organisms.language.adapter import LanguageAdapter
from faithlens.organisms.language.coin_chains import L3
from faithlens.organisms.language.variable_chains import L1, L2

ADAPTERS: dict[str, LanguageAdapter] = {adapter.name: adapter for adapter in (L1, L2, L3)}
"""The adapters by name."""


def find_adapter(name: str) -> Path | None:
    """The folder of a shipped adapter, with its certificate; None if it is not in the package."""
    folder = Path(__file__).parents[1] / "weights" / ADAPTERS[name].name
    return folder if folder.is_dir() else None
