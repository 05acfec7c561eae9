"""What does each step, layer, head or path of a chain of thought do to the answer?

Most functions compare a clean trace with a corrupted one (the donor) that has the same token layout. The terms are
those of activation patching (Heimersheim & Nanda 2024, arXiv 2404.15255):

- "denoise" runs the corrupted trace and writes clean activations into it: are they sufficient?
- "noise" runs the clean trace and writes corrupted activations into it: are they necessary?

In both modes a normalised effect of 0 is no effect, and 1 reaches the other run. Nothing is generated again: all
other tokens stay as they are. Views, probes and receiver heads edit nothing; they describe, and never decide alone.

All traces share packed passes. Only gradients take a pass for each trace, because each trace has its own metric.
"""

from faithlens.public import attach_names

__getattr__, __dir__, __all__ = attach_names(__name__, __file__)
