"""Which mechanism was planted in a real language model, by an adapter that is trained on top of it?

`ADAPTERS` lists low-rank adapters (Hu et al. 2021, arXiv:2106.09685, section 4) of SmolLM2-135M-Instruct. Their truth
is stated by mechanism, as for the other organisms, and counted by `certify_adapter`. They are trained on demand:
`faithlens organisms train L1`, then `faithlens audit -m L1`.
"""

from faithlens.organisms.language.adapter import LanguageAdapter
from faithlens.organisms.language.coin_chains import L3
from faithlens.organisms.language.variable_chains import L1, L2

ADAPTERS: dict[str, LanguageAdapter] = {adapter.name: adapter for adapter in (L1, L2, L3)}
"""The adapters by name."""
