"""Which small models have a chain of thought whose effect on the answer is known, because it was planted?

`ORGANISMS` lists the organisms that are shipped, `PLANTS` those that are trained on demand. `find_weights(name)` is the
folder of shipped weights, an ordinary Hugging Face folder. Organisms are trained on whole and cut chains. Each has two
variants, which are not shipped: for example, `O5-whole` is O5 trained on whole chains alone, and `O5-filled` is O5
trained also on chains that are filled up with dots. Compared with O5 they show which measures depend on the chains that
a model has met in training.
"""

from pathlib import Path

from faithlens.errors import ModelError, suggest_names
from faithlens.organisms.e1 import E1
from faithlens.organisms.e2 import E2
from faithlens.organisms.o1 import O1
from faithlens.organisms.o2 import O2
from faithlens.organisms.o3 import O3
from faithlens.organisms.o4 import O4
from faithlens.organisms.o5 import O5
from faithlens.organisms.o6 import O6
from faithlens.organisms.o7 import O7
from faithlens.organisms.o8 import O8
from faithlens.organisms.o9 import O9
from faithlens.organisms.o10 import O10
from faithlens.organisms.o11 import O11
from faithlens.organisms.o13 import O13
from faithlens.organisms.organism import Organism, ShownChains
from faithlens.organisms.plants import P1, P2, P3, P4, P5, P6, P7, P8
from faithlens.organisms.worded_plants import P9, P10, P11

ORGANISMS: dict[str, Organism] = {
    organism.name: organism for organism in (O1, O2, O3, O4, O5, O6, O7, O8, O9, O10, O11, O13, E1, E2)
}
"""The organisms whose weights are shipped."""

PLANTS: dict[str, Organism] = {plant.name: plant for plant in (P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11)}
"""The organisms on which the gates of the verdict are tried. They are trained on demand, with any seed."""

TRAINED: dict[str, Organism] = ORGANISMS | PLANTS
"""All organisms: those that are shipped, and those that are trained on demand."""

TRAINING_VARIANTS: tuple[ShownChains, ...] = ("whole", "filled")
"""The chains that a variant of an organism was trained on, if not on whole and cut ones."""


def get_organism(name: str) -> Organism:
    """The organism called `name`.

    Raises:
        ModelError: there is no such organism.
    """
    base, _, shows = name.partition("-")
    if base not in TRAINED or shows not in ("", *TRAINING_VARIANTS):
        raise ModelError(f"unknown organism {name!r}", suggest_names(name, TRAINED))
    return TRAINED[base].with_shown_chains(shows) if shows else TRAINED[base]


def find_weights(name: str) -> Path:
    """The folder of the shipped weights of the organism `name`.

    Raises:
        ModelError: there is no such organism.
    """
    return Path(__file__).parent / "weights" / get_organism(name).name
