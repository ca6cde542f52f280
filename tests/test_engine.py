"""What a trial holds and what an executor needs before Ray is started."""

import signal
import subprocess
import sys
import threading

import pytest

from search_spaces import UserError
from studies.interrupts import interrupts
from studies.resources import Resources
from studies.session import describe


def test_resources_say_how_many_trials_fit():
    assert Resources(1, 0, 2, 0).concurrency == 2
    assert Resources(0.1, 0, 1, 0).concurrency == 10
    assert Resources(4, 1, 32, 4).concurrency == 4
    assert Resources(1, 0.4, 32, 2).concurrency == 4  # two on each, though 2 / 0.4 is 5
    assert Resources(4, 2, 32, 5).concurrency == 2


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0, 0, 1, 0), "cpus_per_trial: 0"),
        ((4, 0, 2, 0), "cpus_per_trial: 4 is more than there are"),
        ((1, 0.5, 2, 0), "gpus_per_trial: 0.5 is more than there are"),
        ((1, 1.5, 2, 4), "gpus_per_trial: 1.5 is neither"),
        ((1, -1, 2, 4), "gpus_per_trial: -1"),
    ],
)
def test_resources_that_cannot_be_had_are_a_user_error(numbers, message):
    with pytest.raises(UserError, match=message):
        Resources(*numbers)


def test_an_error_is_one_line():
    assert describe(ValueError("a long story\nthe end ")) == "ValueError: the end"
    assert describe(KeyError()) == "KeyError"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_is_noted_and_the_second_interrupts(number):
    before = signal.getsignal(number)
    with interrupts() as signals:
        signal.raise_signal(number)
        assert signals.received == number.name
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) == before


def test_another_thread_takes_no_signals():
    noted = []

    def work():
        with interrupts() as signals:
            noted.append(signals.received)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert noted == [""]


def test_ray_and_optuna_are_imported_where_they_are_used():
    code = "import sys, studies.engine; print({'ray', 'optuna', 'torch', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
