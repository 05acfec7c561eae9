"""What does each step, state, layer or head of a chain of thought do to the answer?

Every experiment compares a clean trace with a corrupted one (a donor) that has the same number of tokens in every piece.
The terms are those of activation patching (Heimersheim & Nanda 2024, arXiv 2404.15255):

- "denoise" runs the corrupted trace and writes clean activations into it; this tests whether they suffice;
- "noise" runs the clean trace and writes corrupted activations into it; this tests whether they are needed.

In both directions a normalised effect of 0 is no effect, and 1 is the whole way between the two runs. Nothing is
generated again: all other tokens stay as they are. All traces share packed passes; only gradients take passes of their
own, because each trace has a metric of its own.

Views, probes and receiver heads edit nothing: they describe, and decide nothing alone.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
