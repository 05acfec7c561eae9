"""Made-up sweeps in which it is known what size does, and what their intervals are held to.

In `measurements` accuracy rises by RISE a tenfold of parameters, the measure by THROUGH for each unit of accuracy, and
tasks differ in level and in slope.
"""

import numpy as np
import pandas as pd
from scipy.stats import binom

THROUGH, RISE = -0.5, 0.13


def measurements(rng, sizes=4, tasks=6, effect=0.0, levels=0.05, slopes=0.03, wobble=0.05, noise=0.03):
    """A row a size x task. `effect` is what size itself does; `levels`, `slopes`: how much tasks differ."""
    own, level, slope = rng.uniform(0.25, 0.65, tasks), rng.normal(0, levels, tasks), rng.normal(0, slopes, tasks)
    rows = []
    for log_size in np.linspace(8, 10, sizes):
        accuracy = own + RISE * (log_size - 8) + rng.normal(0, wobble, tasks)
        value = 0.6 + level + THROUGH * accuracy + (effect + slope) * (log_size - 8) + rng.normal(0, noise, tasks)
        rows.append(
            pd.DataFrame({"size": 10**log_size, "task": np.arange(tasks), "accuracy": accuracy, "value": value})
        )
    return pd.concat(rows, ignore_index=True)


def curves(rng, tasks=4, noise=0.02, effect=0.0, points=6):
    """Three sizes, each passing lower losses than the one before; the measure bends with loss."""
    rows = []
    levels = rng.normal(0, 0.1, tasks)
    for k, log_size in enumerate([8.0, 9.0, 10.0]):
        loss = np.sort(rng.uniform(2.2 - 0.2 * k, 3.4 - 0.3 * k, points - 2))
        loss = np.array([2.2 - 0.2 * k, *loss, 3.4 - 0.3 * k])
        for task in range(tasks):
            value = 0.4 * (loss - 1.5) ** 2 + levels[task] + effect * log_size + rng.normal(0, noise, points)
            rows.append(pd.DataFrame({"size": 10**log_size, "task": task, "loss": loss, "value": value}))
    return pd.concat(rows, ignore_index=True)


def items(rng, sizes=3, questions=150, effect=0.0, tasks=1, seeds=1, own=0.0):
    """Larger models are right alone more often, and whoever is right alone does not move. `own`: how models differ."""
    rows = []
    hard, lean = rng.normal(0, 1, (tasks, questions)), rng.normal(0, 0.1, (tasks, questions))
    for log_size in np.linspace(8, 10, sizes):
        for seed in range(seeds):
            model = rng.normal(0, own)
            for task in range(tasks):
                confidence = 1 / (1 + np.exp(-(0.6 * (log_size - 9) - hard[task] + rng.normal(0, 0.5, questions))))
                correct = rng.random(questions) < confidence
                moved = np.clip(0.1 + 0.7 * (1 - confidence) + lean[task] + effect * (log_size - 9) + model, 0, 1)
                by_answer = np.clip(np.where(correct, 0.1, 0.6) + lean[task] + effect * (log_size - 9) + model, 0, 1)
                draw = rng.random(questions)
                columns = {"size": 10**log_size, "seed": seed, "task": task, "question": np.arange(questions)}
                columns |= {"confidence": confidence, "correct": correct.astype(float)}
                columns |= {"by_confidence": (draw < moved) * 1.0, "by_answer": (draw < by_answer) * 1.0}
                rows.append(pd.DataFrame(columns))
    return pd.concat(rows, ignore_index=True)


def least(repeats):
    """The coverage that 95 % intervals fall short of once in a hundred times of so many repeats; 0.91 for 200."""
    return binom.ppf(0.01, repeats, 0.95) / repeats


def compute_coverage(low, high, truth=0.0):
    return np.mean((low <= truth) & (truth <= high))
