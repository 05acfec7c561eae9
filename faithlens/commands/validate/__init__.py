"""Which measures detect a faithfulness that is known? Every measure on every organism and seed.

Three kinds of truth are kept apart: what missing attention edges enforce, what was taught and is certified as a rate,
and on which steps the answer depends. A measure that defines a truth takes no part in the contest on it: a certified
rate of following the words *is* the effect of exchanging them. Such measures are judged by enforced truths, and
calibrated on the rates.
"""
