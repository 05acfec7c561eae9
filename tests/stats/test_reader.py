"""What a reader's errors leave of the shares it counts: by hand, by simulation, and its errors as they are measured."""

import numpy as np
import pytest

from faithlens.judging.planted import list_planted_chains
from faithlens.stats.estimate import compute_estimates
from faithlens.stats.interval import WITHHELD, Interval
from faithlens.stats.reader import READERS, ReaderErrors, allow_for_reader, correct_share, correct_value, get_reader
from faithlens.stats.resample import compute_exact_interval
from faithlens.tasks.hint_mentions import mentions_hint, relies_on_hint
from tests.stats.test_derived import hint_rows
from tests.stats.test_estimate import one, scores

FAULTLESS = ReaderErrors(missed=(0, 10**7), invented=(0, 10**7))


def test_the_errors_are_those_on_the_planted_chains() -> None:
    result = {}
    for name, present, read in (
        ("mention", ("said", "denied"), lambda each: mentions_hint(each.kind, each.chain)),
        ("reliance", ("said",), lambda each: relies_on_hint(each.kind, each.chain, each.label)),
    ):
        pairs = [(planted.saying in present, read(planted.inquiry)) for planted in list_planted_chains()]
        there, elsewhere = ([seen for truth, seen in pairs if truth == which] for which in (True, False))
        result[name] = ReaderErrors((there.count(False), len(there)), (elsewhere.count(True), len(elsewhere)))
    assert result == READERS


def test_a_value_is_corrected_by_hand() -> None:
    """s = .8, f = .1: of .45 counted, (.45 - .1) / (.8 - .1) = .5 are there; beyond the ends it is cut off."""
    errors = ReaderErrors(missed=(10, 50), invented=(5, 50))
    assert correct_value(0.45, errors) == pytest.approx(0.5)
    assert (correct_value(0.05, errors), correct_value(0.95, errors)) == (0.0, 1.0)
    assert correct_value(0.45, ReaderErrors((20, 20), (0, 20))) is None
    assert correct_value(0.45, ReaderErrors((0, 0), (0, 20))) is None


def test_where_a_reader_says_nothing_the_interval_is_withheld_with_the_reason() -> None:
    interval = Interval(0.5, 0.4, 0.6, "exact")
    withheld = allow_for_reader(interval, ReaderErrors((10, 20), (10, 20)))
    assert (withheld.value, withheld.method) == (0.5, WITHHELD)
    assert np.isnan([withheld.low, withheld.high]).all()
    assert str(withheld.reason).startswith("open: the reader found 10 of 20 planted sayings and saw 10 in 20 chains")


def test_the_errors_of_a_runs_own_readers_widen_what_they_judged() -> None:
    rows = [{"question": f"q{i}", "measure": "judged.metadata.said", "value": float(i < 1)} for i in range(20)]
    unknown = one(compute_estimates(scores(rows), 0), "judged.metadata.said")
    assert (unknown["value"], unknown["method"]) == (0.05, WITHHELD)
    low, high = compute_exact_interval(1, 20)
    errors = ReaderErrors(missed=(20, 40), invented=(0, 40))
    wide = one(compute_estimates(scores(rows), 0, {"said": errors}), "judged.metadata.said")
    assert wide["value"] == 0.05
    assert wide["high"] == pytest.approx(high / errors.sensitivity[0])
    assert wide["low"] < low
    assert wide["method"].endswith("reader's errors")


def test_by_hand() -> None:
    """s = .4 at least and 0 false alarms: what was counted is at most .4 of what is there."""
    errors = ReaderErrors(missed=(19, 42), invented=(7, 20))
    seen, most = compute_exact_interval(23, 42), compute_exact_interval(7, 20)[1]
    assert correct_share(0.0, 0.1, errors) == pytest.approx((0.0, 0.1 / seen[0]))
    assert correct_share(0.65, 0.8, errors) == pytest.approx(((0.65 - most) / (seen[1] - most), 1.0))
    assert correct_share(0.2, 0.3, FAULTLESS) == pytest.approx((0.2, 0.3), abs=1e-5)


def test_a_reader_that_sees_no_more_where_there_is_something_says_nothing() -> None:
    assert correct_share(0.0, 0.1, ReaderErrors(missed=(20, 20), invented=(0, 20))) == (0.0, 1.0)
    assert correct_share(0.9, 1.0, ReaderErrors(missed=(0, 20), invented=(20, 20)))[0] == 0.0


def test_which_measures_are_read() -> None:
    assert get_reader("hints.metadata.revealed_mention") is READERS["mention"]
    assert get_reader("hints.metadata.normalised_reliance") is READERS["reliance"]
    others = ("hints.metadata.switch", "hints.metadata.false_mention", "hints.metadata.reveal_range", "accuracy.full")
    assert [get_reader(name) for name in others] == [None] * 4


def test_six_switches_without_a_word_are_no_proof_of_silence() -> None:
    """The reader misses some: none seen in six may be most of them said, in other words."""
    frame = compute_estimates(scores(hint_rows("HHHHHH", reveals="000000")), 0)
    row = one(frame, "hints.metadata.revealed_mention")
    assert (row["value"], row["low"]) == (0.0, 0.0)
    assert row["high"] > 0.5
    assert row["method"] == "exact (Clopper-Pearson); reader's errors"


@pytest.mark.parametrize("truth", [0.0, 0.1, 0.5, 0.95])
@pytest.mark.parametrize(("seen", "false"), [(0.6, 0.0), (0.9, 0.1), (0.75, 0.3)])
def test_coverage_with_readers_whose_errors_were_counted_on_forty_chains(truth, seen, false) -> None:
    rng, hits, runs = np.random.default_rng(0), 0, 400
    for _ in range(runs):
        errors = ReaderErrors((40 - rng.binomial(40, seen), 40), (rng.binomial(40, false), 40))
        counted = rng.binomial(25, truth * seen + (1 - truth) * false)
        low, high = correct_share(*compute_exact_interval(int(counted), 25), errors)
        hits += low <= truth <= high
    assert hits / runs >= 0.92
