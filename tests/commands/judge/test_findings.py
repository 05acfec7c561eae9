"""What readers find in a run: each number by hand, and what follows for the gate."""

import json
from pathlib import Path

import pytest

import faithlens as fl
from faithlens.commands.judge.run import judge
from faithlens.judging.inquiry import Inquiry
from faithlens.stats.raters import compute_ac1
from tests.commands.judge.judged_run import (
    JudgeServer,
    find_share,
    list_switched,
    make_judge,
    tell_saying,
)


def test_the_table_of_hinted_chains_is_what_the_scores_were_made_of(audited: Path) -> None:
    """Switches, and what the words find, are the same by the table and by the scores of the audit."""
    run = fl.Run.open(audited)
    scores = run.scores.dropna(subset=["value"])
    switched = list_switched(run)
    assert set(run.hinted_chains["kind"]) == {"silent", "half", "avowed", "rationalised"}
    for row in run.hinted_chains.to_dict("records"):  # no <bos>, which a judge may take for its own
        assert row["prompt"].startswith(f"{row['kind'].capitalize()} hint {row['label']}: Start at ")
    for kind, rows in switched.groupby("kind"):
        counted = scores[scores["measure"] == f"hints.{kind}.switch"]["value"].sum()
        assert counted == len(rows)
        relies = scores[scores["measure"] == f"hints.{kind}.revealed_reliance"]["value"].sum()
        assert (
            relies == sum(tell_saying(cot) == "said" for cot in rows["cot"]) == (len(rows) if kind == "avowed" else 0)
        )
    assert len(switched) > 6


def test_two_readers_decide_the_gate_and_every_number_follows_by_hand(path: Path, server: JudgeServer) -> None:
    before = fl.Run.open(path)
    switched = list_switched(before)
    result = judge(path, ["words", make_judge(server)])
    assert result.failures == {}
    run, summary = fl.Run.open(path), result.summary
    assert json.loads(json.dumps(summary)) == run.read_json("readers.json")
    judged, words = server.name, "words"

    planted = {(row["reader"], row["finding"]): row["errors"] for row in summary["planted"]}
    assert planted[judged, "said"] == {"missed": (0, 42), "invented": (0, 61)}
    assert planted[judged, "named"] == {"missed": (0, 71), "invented": (0, 32)}
    assert planted[words, "said"] == {"missed": (9, 42), "invented": (2, 61)}
    n_said = sum(tell_saying(cot) == "said" for cot in switched["cot"])
    share = find_share(summary, judged)
    assert (share["n_switches"], share["n_open"], share["false_alarms"]) == (len(switched), 0, 0)
    assert share["counted"] == pytest.approx(n_said / len(switched))
    assert share["low"] < share["value"] < share["high"]
    assert share["value"] == pytest.approx(find_share(summary, words)["counted"], abs=1e-9)  # nothing to correct

    [agreement] = [row for row in summary["agreement"] if row["finding"] == "said"]
    labels = [tell_saying(cot) == "said" for cot in switched["cot"]]
    assert agreement["value"] == compute_ac1(labels, labels).value == 1
    assert (agreement["n"], agreement["n_same"]) == (len(switched), len(switched))

    scores = run.scores.dropna(subset=["value"])
    for kind, rows in switched.groupby("kind"):
        values = scores[scores["measure"] == f"judged.{kind}.said"]["value"]
        assert values.tolist() == [float(kind == "avowed")] * len(rows)
    [estimate] = run.estimates[run.estimates["measure"] == "judged.avowed.said"].to_dict("records")
    assert estimate["value"] == 1
    assert "reader's errors" in estimate["method"]
    assert run.verdict == before.verdict  # both readers see what the words saw
    page = run.report().read_text(encoding="utf-8")
    assert "Hints as readers judge them" in page


def test_readers_that_differ_leave_the_gate_open(path: Path, server: JudgeServer, quick: None) -> None:
    """The judge says of every chain that it is said, and quotes it: where the words say unsaid, nothing is decided."""

    def claim(inquiry: Inquiry) -> str:
        return json.dumps({"label": "said", "quote": inquiry.chain})

    class Yes:
        name, repeats = "yes", 1

        def read(self, inquiries, repeat):
            from faithlens.judging.requests import parse_reply

            return [parse_reply(each, claim(each)) for each in inquiries]

        def identify(self, inquiry):
            return inquiry.chain

        def estimate(self, inquiries):
            return make_judge(server).estimate(inquiries)

        def describe(self) -> dict[str, object]:
            return {"reader": self.name}

    summary = judge(path, ["words", Yes()]).summary
    errors = {(row["reader"], row["finding"]): row["errors"] for row in summary["planted"]}
    assert tuple(errors["yes", "said"]["invented"]) == (61, 61)
    alone = find_share(summary, "yes")
    assert (alone["counted"], alone["value"], alone["low"]) == (1.0, None, None)
    assert alone["reason"].startswith("open: the reader found 42 of 42 planted sayings and saw 61 in 61 chains")
    run = fl.Run.open(path)
    silent = run.scores[
        (run.scores["measure"] == "judged.silent.said") & run.scores["reason"].str.startswith("the readers")
    ]
    assert len(silent) > 0
    assert set(silent["reason"]) == {"the readers differ: words says unsaid, yes says said"}


def test_one_reader_leaves_the_gate_to_the_words(path: Path, server: JudgeServer) -> None:
    judge(path, ["words", make_judge(server)])
    assert (fl.Run.open(path).scores["measure"].str.startswith("judged.")).any()
    before = fl.Run.open(path).gates
    judge(path, [make_judge(server)])
    run = fl.Run.open(path)
    assert not run.scores["measure"].str.startswith("judged.").any()
    assert run.gates.equals(before)


def test_the_words_of_the_requests_are_kept(path: Path, server: JudgeServer, quick: None) -> None:
    judge(path, [make_judge(server)])
    [reader] = fl.Run.open(path).read_json("readers.json")["readers"]
    assert (reader["reader"], reader["temperature"], reader["repeats"]) == (server.name, 0.0, 1)
    assert reader["requests"]["saying"].startswith("A language model was given a prompt")
