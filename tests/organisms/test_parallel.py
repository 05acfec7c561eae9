"""Work on one core each: in order, alone in its threads, and with its errors."""

import os
import pickle
import time
from multiprocessing import get_context

import psutil
import pytest
import torch

from faithlens.organisms import ORGANISMS
from faithlens.organisms.family import MEMBERS
from faithlens.organisms.parallel import run_on_cores


def divide(number, divisor):
    return number // divisor, os.getpid(), torch.get_num_threads()


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_made_comes_in_order_and_from_other_processes_where_there_are_several(jobs):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    made = list(run_on_cores(divide, [(number, 2) for number in range(6)], jobs))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)
    assert [number for number, *_ in made] == [0, 0, 1, 1, 2, 2]
    assert {threads for *_, threads in made} == {1}
    assert (os.getpid() in {process for _, process, _ in made}) == (jobs == 1)
    assert list(run_on_cores(divide, [], jobs)) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_is_raised_after_what_was_made_before_it(jobs):
    made = run_on_cores(divide, [(4, 2), (4, 0), (4, 1)], jobs)
    assert next(made)[0] == 2
    with pytest.raises(ZeroDivisionError):
        next(made)


def busy(folder):
    (folder / str(os.getpid())).touch()
    time.sleep(120)
    (folder / f"{os.getpid()} ended by itself").touch()


def two_at_once(folder):
    list(run_on_cores(busy, [(folder,)] * 2, 2))


def running(process):
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(holds):
    while not holds():
        time.sleep(0.1)


def test_no_process_outlives_the_one_that_is_killed(tmp_path):
    maker = get_context("spawn").Process(target=two_at_once, args=(tmp_path,))
    maker.start()
    wait_until(lambda: len(list(tmp_path.iterdir())) == 2 or not maker.is_alive())
    maker.kill()
    maker.join()
    workers = [path.name for path in tmp_path.iterdir()]
    assert len(workers) == 2
    wait_until(lambda: not any(running(int(worker)) for worker in workers))
    assert sorted(workers) == sorted(path.name for path in tmp_path.iterdir())  # none went on to its end


@pytest.mark.parametrize("name", [*ORGANISMS, *MEMBERS])
def test_organisms_can_be_sent_to_other_processes(name):
    organism = {**ORGANISMS, **MEMBERS}[name]
    assert pickle.loads(pickle.dumps(organism)).make_config_entry({}, 4) == organism.make_config_entry({}, 4)
