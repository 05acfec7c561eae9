"""The manifest: the identity of a run, its seal, and what is refused."""

import json
from pathlib import Path

import pytest

from faithlens.errors import RunError
from faithlens.store import Run, make_manifest
from faithlens.store import manifest as manifests
from faithlens.store.manifest import SCHEMA_VERSION, hash_code, list_identity_differences, write_manifest

INPUTS = {"weights of a": "11", "questions of t for a": "22"}


def start(path: Path, **changed: object) -> Run:
    made = make_manifest({"n": 4}, 3, "cpu", INPUTS)
    return Run.create(path, made | changed, resume=path.exists())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"inputs": INPUTS | {"weights of a": "12"}}, "inputs.weights of a: '11' in the folder, '12' given"),
        ({"inputs": INPUTS | {"questions of t for a": "9"}}, "inputs.questions of t for a: '22' in the folder"),
        ({"inputs": {"weights of a": "11"}}, "inputs.questions of t for a: '22' in the folder, None given"),
        ({"seed": 4}, "seed: 3 in the folder, 4 given"),
        ({"device": "cuda"}, "device: 'cpu' in the folder, 'cuda' given"),
        ({"code": "0" * 64}, "code: "),
        ({"versions": {"torch": "1.0"}}, "versions.torch: "),
        ({"config": {"n": 5}}, "n: 4 in the folder, 5 given"),
    ],
)
def test_another_identity_is_refused_with_the_difference(changed: dict, words: str, tmp_path: Path) -> None:
    start(tmp_path / "run")
    before = (tmp_path / "run" / "manifest.json").read_bytes()
    with pytest.raises(RunError, match="other options or inputs") as caught:
        start(tmp_path / "run", **changed)
    assert words in caught.value.problem
    assert (tmp_path / "run" / "manifest.json").read_bytes() == before


def test_the_time_the_commit_and_the_machine_are_no_identity(tmp_path: Path) -> None:
    """Clocks go backwards, and a commit may change nothing but a page."""
    start(tmp_path / "run", created="2999-01-01T00:00:00+00:00")
    start(tmp_path / "run", created="1999-01-01T00:00:00+00:00", commit="another", platform="another")
    assert [each["created"] for each in Run.open(tmp_path / "run").manifest["resumed"]] == ["1999-01-01T00:00:00+00:00"]


def test_entries_that_are_not_given_are_not_compared() -> None:
    assert list_identity_differences({"config": {"n": 1}, "code": "x"}, {"config": {"n": 1}}) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{broken",
        b"[]",
        b"3",
        b"\xff\xfe{}",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"config": {}}',
        b'{"files": [], "seal": ""}',
        b'{"files": {}, "seal": "00"}',
        b'{"files": {}, "seal": NaN}',
    ],
)
def test_a_manifest_that_faithlens_did_not_write_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    for use in (lambda: Run.open(tmp_path), lambda: Run.create(tmp_path, {"config": {}}, resume=True)):
        with pytest.raises(RunError, match=r"manifest\.json of the run in .* cannot be believed"):
            use()
    assert (tmp_path / "manifest.json").read_bytes() == content


def test_an_edited_manifest_is_refused(tmp_path: Path) -> None:
    start(tmp_path / "run")
    path = tmp_path / "run" / "manifest.json"
    entries = json.loads(path.read_text())
    path.write_text(json.dumps(entries, indent=4))  # other white space: the same content
    assert Run.open(tmp_path / "run").manifest["seed"] == 3
    path.write_text(json.dumps(entries | {"seed": 4}))
    with pytest.raises(RunError, match="its content was changed after faithlens wrote it"):
        Run.open(tmp_path / "run")


def test_a_run_of_a_newer_schema_is_refused_and_says_what_reads_it(tmp_path: Path) -> None:
    entries = make_manifest({"n": 4}, 3, "cpu") | {"files": {}}
    newer = {"schema_version": SCHEMA_VERSION + 1, "versions": {"faithlens": "9.1"}}
    write_manifest(tmp_path, entries | newer)
    for use in (lambda: Run.open(tmp_path), lambda: Run.create(tmp_path, entries, resume=True)):
        with pytest.raises(RunError, match=f"has schema version {SCHEMA_VERSION + 1}, .* reads {SCHEMA_VERSION}") as e:
            use()
        assert e.value.fix == "Install faithlens 9.1 or newer."


@pytest.mark.parametrize("version", [0, -1, None, "1", True, 1.5])
def test_a_run_without_a_schema_that_is_known_is_refused(version: object, tmp_path: Path) -> None:
    write_manifest(tmp_path, {"files": {}, "schema_version": version})
    with pytest.raises(RunError, match="its schema_version is"):
        Run.open(tmp_path)


def test_the_digest_of_the_code_follows_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "store").mkdir()
    monkeypatch.setattr(manifests, "__file__", str(tmp_path / "store" / "manifest.py"))
    seen = set()
    for name, text in [("a.py", "1"), ("a.py", "2"), ("b.py", "2"), ("store/c.py", ""), ("store/d.py", "")]:
        (tmp_path / name).write_text(text)
        seen.add(hash_code.__wrapped__())
    (tmp_path / "notes.txt").write_text("no code")
    assert hash_code.__wrapped__() in seen
    assert len(seen) == 5
