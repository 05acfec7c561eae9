"""Linear probes, judged on questions that they were not trained on.

A probe is a logistic regression with a ridge penalty, on features standardised within the training folds. The penalty
is fixed (C = 0.1 in scikit-learn's terms), so nothing is tuned on what is reported.
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

INVERSE_PENALTY = 0.1

Labels = Int[np.ndarray, " trace"]
Features = Float[np.ndarray, "trace feature"]
Probabilities = Float[np.ndarray, "trace label"]


def assign_folds(labels: Labels, questions: Labels, folds: int, seed: int) -> Labels:
    """The fold of each trace: all traces of a question in one, and the classes as evenly spread as that allows."""
    from sklearn.model_selection import StratifiedGroupKFold  # takes a second to import

    fold = np.zeros(len(labels), dtype=int)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for number, (_, held_out) in enumerate(splitter.split(labels, labels, questions)):
        fold[held_out] = number
    return fold


def predict_with_probe(features: Features, labels: Labels, fold: Labels) -> Probabilities:
    """Probability of each class for each trace, by a probe trained on the other folds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=INVERSE_PENALTY, max_iter=2000))
    return _predict_held_out(model, features, labels, fold)


def predict_by_frequency(labels: Labels, fold: Labels) -> Probabilities:
    """The frequency of each class in the other folds, which looks at nothing."""
    from sklearn.dummy import DummyClassifier

    return _predict_held_out(DummyClassifier(strategy="prior"), np.zeros((len(labels), 1)), labels, fold)


def _predict_held_out(estimator: "BaseEstimator", features: Features, labels: Labels, fold: Labels) -> Probabilities:
    from sklearn.model_selection import PredefinedSplit, cross_val_predict

    return np.asarray(cross_val_predict(estimator, features, labels, cv=PredefinedSplit(fold), method="predict_proba"))


def bag_of_tokens(texts: list[tuple[int, ...]]) -> Features:
    """How often each token occurs in each text; a column a token."""
    lengths = [len(text) for text in texts]
    known, token = np.unique(np.concatenate([np.array(text, dtype=int) for text in texts]), return_inverse=True)
    counts = np.zeros((len(texts), len(known)))
    np.add.at(counts, (np.repeat(np.arange(len(texts)), lengths), token), 1.0)
    return counts


def mark_correct(probabilities: Probabilities, labels: Labels) -> Float[np.ndarray, " trace"]:
    """1 where the most probable class is the right one, else 0."""
    return (probabilities.argmax(1) == labels).astype(float)


def compare_class_pairs(
    probabilities: Probabilities, labels: Labels, fold: Labels
) -> tuple[Float[np.ndarray, "trace trace"], Float[np.ndarray, "trace trace"]]:
    """For two classes: which pairs of a positive and a negative trace are ranked right (ties half), and which exist.

    Only pairs of one fold count, since each fold has its own probe and scale. The sum of the first divided by the sum
    of the second is the area under the ROC curve (AUC).
    """
    score = probabilities[:, 1]
    exist = (labels[:, None] == 1) & (labels[None] == 0) & (fold[:, None] == fold[None])
    won = (score[:, None] > score[None]) + 0.5 * (score[:, None] == score[None])
    return np.where(exist, won, 0.0), exist.astype(float)
