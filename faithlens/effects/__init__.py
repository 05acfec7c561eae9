"""Step effects: what each step of a chain of thought does to the answer, layer by layer, as labelled results.

There is a clean trace and a corrupted one (the donor of other activations) whose pieces have as many tokens. Terms are
those of activation patching (Heimersheim & Nanda 2024, arXiv 2404.15255): "denoise" runs the corrupted trace
and writes clean activations into it, which tests whether they suffice; "noise" runs the clean one and writes corrupted
activations, which tests whether they are needed. Either way a normalised effect of 0 is none and 1 all of the way
between the two runs. Nothing is regenerated: all other tokens stay as they are.

Views, probes and receiver heads edit nothing and describe what is there; none of them decides alone.

All traces share packed passes; only gradients, whose metric is each trace's own, take passes of their own.
"""
