"""`view`: one page on finished, growing and several runs, in a file or from a server that only its user can reach."""

import http.client
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from faithlens.commands.view import find_runs, read_page, read_version, view
from faithlens.commands.view_server import ViewServer
from faithlens.errors import RunError
from faithlens.report.page import write_page
from faithlens.store import Run, make_manifest
from tests.report.large_run import MODEL, TASK, make_large_run
from tests.report.reading import Reader, read_chains, read_index


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = make_large_run(tmp_path_factory.mktemp("view") / "finished", 12)
    write_page(run)
    return run


def start_growing_run(path: Path, n: int = 12) -> Run:
    config = {"subjects": [{"model": MODEL, "task": TASK}], "n": n}
    return Run.create(path, make_manifest(config, 0, "cpu"))


def add_batch(run: Run, finished: Run, key: str, questions: slice) -> None:
    """Write what `finished` holds of some questions, as an audit does it: scores first, traces last."""
    chosen = sorted(finished.read("traces")["question"])[questions]
    for table in ("scores", "answers", "edits", "traces"):
        rows = finished.read(table)
        run.write_part(table, key, rows[rows["question"].isin(chosen)])


def test_several_runs_stand_on_one_page(finished: Run, tmp_path: Path) -> None:
    shutil.copytree(finished.path, tmp_path / "second")
    before = {path: path.read_bytes() for path in finished.path.rglob("*") if path.is_file()}
    file = view([finished.path, tmp_path / "second"], tmp_path / "new" / "both.html")
    html = file.read_text(encoding="utf-8")
    assert read_index(html)["subjects"] == ["large, finished", "large, second"]
    assert len(read_chains(html)) == 24
    assert {path: path.read_bytes() for path in finished.path.rglob("*") if path.is_file()} == before
    assert len(read_chains(view(finished, file).read_text(encoding="utf-8"))) == 12


def test_folders_of_the_same_name_are_told_apart(finished: Run, tmp_path: Path) -> None:
    folders = [tmp_path / name / "run" for name in "ab"]
    for folder in folders:
        shutil.copytree(finished.path, folder)
    assert read_index(read_page(folders))["subjects"] == [f"large, {folder}" for folder in folders]


def test_a_sweep_is_shown_by_its_audits(finished: Run, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    Run.create(sweep, make_manifest({}, 0, "cpu"))
    (sweep / "runs").mkdir()
    with pytest.raises(RunError, match="no audit of the sweep"):
        find_runs([sweep])
    for name in "ab":
        shutil.copytree(finished.path, sweep / "runs" / name)
    assert find_runs([sweep, finished.path]) == [sweep / "runs" / "a", sweep / "runs" / "b", finished.path]
    assert find_runs([tmp_path]) == [sweep / "runs" / "a", sweep / "runs" / "b"]  # all that a folder holds
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="there is no run in"):
        find_runs([tmp_path / "empty"])


def test_a_growing_run_shows_what_is_there_and_no_verdict(finished: Run, tmp_path: Path) -> None:
    run = start_growing_run(tmp_path / "run")
    html = read_page([run.path])
    assert "0 of 12 questions are scored so far" in html
    assert read_chains(html) == []
    assert "There is no chain yet." in html
    assert "#figures" not in html
    assert 'id="figures"' not in html
    add_batch(run, finished, "0", slice(0, 5))
    html = read_page([run.path])
    text = Reader(html).text
    assert "5 of 12 questions are scored so far" in text
    assert len(read_chains(html)) == 5
    assert not re.search(r'class="badge (trust|do-not-trust|undecided)"', html)
    scores = run.read("scores")
    right = int((scores.loc[scores["measure"] == "accuracy.full", "value"] == 1).sum())
    assert f"capable so far {right} of 5 pass" in text
    assert "no interval" in text
    assert read_chains(html) == read_chains(read_page([finished.path]))[:5]


def test_a_batch_that_is_half_written_does_no_harm(finished: Run, tmp_path: Path) -> None:
    run = start_growing_run(tmp_path / "run")
    rows = finished.read("scores")
    run.write_part("scores", "0", rows)
    html = read_page([run.path])
    assert read_chains(html) == []
    assert "12 of 12 questions are scored so far" in html


def test_a_damaged_run_is_refused(finished: Run, tmp_path: Path) -> None:
    shutil.copytree(finished.path, tmp_path / "run")
    (tmp_path / "run" / "report.html").write_text("changed")
    with pytest.raises(RunError, match=r"report\.html"):
        read_page([tmp_path / "run"])


@pytest.fixture
def server(finished: Run, tmp_path: Path) -> Iterator[ViewServer]:
    run = start_growing_run(tmp_path / "growing")
    add_batch(run, finished, "0", slice(0, 4))
    with ViewServer([run.path]) as opened:
        thread = threading.Thread(target=opened.serve_forever, daemon=True)
        thread.start()
        yield opened
        opened.shutdown()
        thread.join()


def get(server: ViewServer, path: str, host: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    connection.request("GET", path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    content = answer.read().decode("utf-8")
    connection.close()
    return answer.status, content


def test_the_server_answers_only_whom_the_address_was_given(server: ViewServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    status, page = get(server, f"/{server.token}/")
    assert status == 200
    assert len(read_chains(page)) == 4
    version = read_version(server.paths)
    assert f'<meta name="refresh-from" content="/{server.token}/version" data-version="{version}">' in page
    for path in ("/", "/wrong/", f"/{server.token[:-1]}/", "/../manifest.json", f"/x{server.token}/"):
        assert get(server, path)[0] == 403
    assert get(server, f"/{server.token}/manifest.json")[0] == 404
    assert get(server, f"/{server.token}/", host=f"evil.example:{server.server_port}")[0] == 403
    assert get(server, f"/{server.token}/", host=f"localhost:{server.server_port}")[0] == 200


def test_the_version_changes_when_the_run_grows(server: ViewServer, finished: Run) -> None:
    first = get(server, f"/{server.token}/version")
    assert first[0] == 200
    assert get(server, f"/{server.token}/version") == first
    add_batch(Run(server.paths[0]), finished, "1", slice(4, 12))
    assert get(server, f"/{server.token}/version") != first
    assert len(read_chains(get(server, f"/{server.token}/")[1])) == 12


def test_a_run_that_is_removed_gives_a_page_that_says_so_and_comes_back(
    server: ViewServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    [path] = server.paths
    page = get(server, f"/{server.token}/")[1]
    path.rename(tmp_path / "elsewhere")
    for rest in ("", "version"):
        status, words = get(server, f"/{server.token}/{rest}")
        assert (status, f"there is no run in {path}" in words) == (503, True)
    (tmp_path / "elsewhere").rename(path)
    assert get(server, f"/{server.token}/") == (200, page)
    manifest = path / "manifest.json"
    content = manifest.read_text()
    manifest.write_text(content.replace('"seed": 0', '"seed": 1'))
    status, words = get(server, f"/{server.token}/")
    assert status == 503
    assert "cannot be believed: its content was changed after faithlens wrote it" in Reader(words).text
    assert "tries again" in words
    manifest.write_text("<script>alert(1)</script>")
    assert "<script" not in get(server, f"/{server.token}/")[1]
    manifest.write_text(content)
    assert len(read_chains(get(server, f"/{server.token}/")[1])) == 4
    assert capfd.readouterr() == ("", "")


def test_a_part_that_is_gone_is_named(server: ViewServer, finished: Run) -> None:
    add_batch(Run(server.paths[0]), finished, "1", slice(4, 8))
    part = server.paths[0] / "parts" / "scores" / "1.parquet"
    part.unlink()
    status, words = get(server, f"/{server.token}/")
    assert (status, f"parts/scores/{part.name} cannot be read" in Reader(words).text) == (503, True)


def test_a_fault_of_faithlens_itself_stops_no_server(
    server: ViewServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> str:
        raise KeyError("a column")

    with monkeypatch.context() as patched:
        patched.setattr(server, "read_page", fail)
        status, words = get(server, f"/{server.token}/")
    assert (status, "KeyError: 'a column'" in Reader(words).text) == (503, True)
    assert "Traceback" in capfd.readouterr().err
    assert get(server, f"/{server.token}/")[0] == 200


def test_a_browser_that_leaves_in_the_middle_of_an_answer_is_no_error(
    server: ViewServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    errors: list[BaseException | None] = []
    handle = server.handle_error
    monkeypatch.setattr(server, "handle_error", lambda *who: (errors.append(sys.exception()), handle(*who)))
    monkeypatch.setattr(server, "read_page", lambda: "x" * 50_000_000)  # more than any buffer of the system holds
    for _ in range(3):
        browser = socket.create_connection(("127.0.0.1", server.server_port))
        request = f"GET /{server.token}/ HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n"
        browser.sendall(request.encode())
        assert browser.recv(100).startswith(b"HTTP/1.1 200 OK")
        browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, as of a closed tab
        browser.close()
    deadline = time.monotonic() + 30
    while len(errors) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [isinstance(error, ConnectionError) for error in errors] == [True] * 3
    assert get(server, f"/{server.token}/version")[0] == 200
    assert capfd.readouterr() == ("", "")


def run_view(*words: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "faithlens.cli", "view", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip


def test_the_command_writes_a_file(finished: Run, tmp_path: Path) -> None:
    out, err = run_view(finished.path, "--file", tmp_path / "page.html").communicate()
    assert (out, err) == (f"Written: {tmp_path / 'page.html'}\n", "")
    assert len(read_chains((tmp_path / "page.html").read_text(encoding="utf-8"))) == 12
    process = run_view(tmp_path)
    assert "there is no run in" in process.communicate()[1]
    assert process.returncode == 2
    assert "--port" in run_view(finished.path, "--file", tmp_path / "x.html", "--port", 8000).communicate()[1]
    assert not (tmp_path / "x.html").exists()


def test_the_command_serves_until_it_is_interrupted(finished: Run) -> None:
    process = run_view(finished.path, "--no-browser")
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    match = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/[\w-]{32}/)", address)
    assert match is not None
    connection = http.client.HTTPConnection("127.0.0.1", int(match[1]))
    connection.request("GET", match[2])
    assert len(read_chains(connection.getresponse().read().decode())) == 12
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out.endswith("Stopped. The runs are as they were.\n")
    assert (err, process.returncode) == ("", 0)


def test_estimates_of_a_growing_run_are_those_of_its_scores(finished: Run, tmp_path: Path) -> None:
    run = start_growing_run(tmp_path / "run")
    add_batch(run, finished, "0", slice(0, 6))
    text = Reader(read_page([run.path])).text
    scores = run.read("scores")
    share = pd.to_numeric(scores.loc[scores["measure"] == "mediation.content_share", "value"]).mean()
    assert f"content share {share:.2f}" in text
