"""Looking at processes, and the small network of the tests of remote devices."""

import time
from pathlib import Path

from search_spaces import Arch, Stage

SMALL = Arch((Stage("fused_mbconv", 3, 2, 2, 8, 1), Stage("mbconv", 3, 2, 2, 16, 1, 0.25)), 8, 32, 16)
SHAPE = (1, 3, 16, 16)


def until(happened, timeout_s=60):
    end = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def of_session(leader):
    """The command lines of the living processes of a session, by the number of the one that began it."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
            if int(session) == leader and state != "Z":
                yield path.with_name("cmdline").read_text().replace("\0", " ")
        except OSError:  # it has just ended
            continue


def loaded(device, program, form="onnx"):
    return device.load("candidate", form, program, SHAPE, threads=1)
