"""What becomes of a search when processes, machines and disks fail: real searches, real kills, every figure counted.

    python benchmarks/faults.py                        # all parts, about 35 minutes on two cores
    python benchmarks/faults.py --part a --kills 20    # one part

a. The driver is killed (SIGKILL) at random moments, and the run resumed each time until it is done.
b. A worker is killed in mid-training; another each time it starts; another by Ray's memory monitor.
c. One of the two machines of a cluster dies under a trial.
d. The ledger is cut at every byte of its last record.
e. The disk is full while results are recorded (on a small tmpfs, which takes root to mount; else left out).
f. Ctrl-C once and twice, SIGTERM, a second driver, budgets, and resuming with more or fewer trials.

Each part prints its figures and what they have to be: every trial finished once in the ledger, none run again after
that, no network twice, and accuracies equal to those of a run that nothing happened to. Exit code 1 where one is not.
What a killed driver leaves of Ray is killed at the next kill, so that it disturbs one later start and not all.

Expected of part a (2 busy cores): "20 kills (3 with no trial yet, 17 with trials running) in 721 s: 90 of 90 trials
finished once, 32 broken off and run again"; trials are added where a run is done before its kill. On a slow machine
raise --latest-s.
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deaths import machine_dies, worker_always_killed, worker_killed, worker_out_of_memory
from processes import LONG, BarMissed, Search, check_whole, count, events, figures, require

from nas import environment
from search_spaces import UserError, command
from studies import ledger
from studies.ledger import LEDGER, Ledger


def driver_killed(folder: Path, args: argparse.Namespace) -> str:
    rng, flags = random.Random(args.seed), ["--epochs", "2", "--set", "search.population=8"]
    killed, trials, kills, when = folder / "killed", args.trials, 0, {"no trial yet": 0, "trials running": 0}
    previous: Search | None = None
    begun = time.monotonic()
    while kills < args.kills:
        exists = (killed / "spec.yaml").exists()
        if not exists:
            shutil.rmtree(killed, ignore_errors=True)
        before, moment = count(killed, "started"), rng.uniform(2, args.latest_s)
        make_search = Search.resume if exists else Search.new
        search = make_search(killed, "--trials", str(trials), *([] if exists else flags))
        try:
            search.process.wait(moment)
        except subprocess.TimeoutExpired:
            search.kill()
            kills += 1
            when["trials running" if count(killed, "started") > before else "no trial yet"] += 1
            print(f"  kill {kills} after {moment:.1f} s: {count(killed, 'finished')} of {trials} finished", flush=True)
        else:
            require(search.process.returncode == 0, f"exit code {search.process.returncode}: {search.errors}")
            trials += 10  # done too early to be killed
        if previous:
            previous.sweep()
        previous = search
    last = Search.resume(killed, "--trials", str(trials))
    require(last.wait(1200) == 0, last.errors)
    check_whole(killed, trials)
    took = time.monotonic() - begun
    whole = Search.new(folder / "whole", "--trials", str(trials), *flags)
    require(whole.wait(1200) == 0, whole.errors)
    require(figures(killed) == figures(folder / "whole"), "other networks or accuracies than without kills")
    again = count(killed, "started") - trials
    return (
        f"{kills} kills ({', '.join(f'{n} with {name}' for name, n in when.items())}) in {took:.0f} s: {trials} of "
        f"{trials} trials finished once, {again} broken off and run again, networks and accuracies those of a whole run"
    )


def ledger_cut(folder: Path, args: argparse.Namespace) -> str:
    run_dir = folder / "whole"
    require(Search.new(run_dir, "--trials", "4", "--epochs", "1").wait() == 0, "search failed")
    whole, before = (run_dir / LEDGER).read_bytes(), figures(run_dir)
    start = whole[:-1].rindex(b"\n") + 1
    victim = events(run_dir)[-1]["trial"]
    others = [figure for figure in before if figure[0] != victim]
    for end in range(start, len(whole)):
        (run_dir / LEDGER).write_bytes(whole[:end])
        left = [figure for figure in figures(run_dir) if figure[2] != "running"]
        require(left == others, f"cut at byte {end}: {left}")
        with Ledger(run_dir):
            require((run_dir / LEDGER).read_bytes() == whole[:start], f"cut at byte {end} leaves a part")
    (run_dir / LEDGER).write_bytes(whole[: (start + len(whole)) // 2])
    resumed = Search.resume(run_dir)
    require(resumed.wait() == 0, resumed.errors)
    check_whole(run_dir, 4)
    require(figures(run_dir) == before, "the lost trial came out otherwise")
    return f"{len(whole) - start} cuts: each loses its record and no other; resumed after one, 4 of 4 trials"


def disk_full(folder: Path, args: argparse.Namespace) -> str:
    disk = folder / "disk"
    disk.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], capture_output=True, text=True)
    if mount.returncode:
        return f"left out: {mount.stderr.strip()}"
    try:
        run_dir, filler = disk / "run", disk / "filler"
        search = Search.new(run_dir, "--trials", "6", "--epochs", "1", log=folder)
        search.until(lambda: count(run_dir, "finished") >= 2, "second trial")
        with open(filler, "wb", buffering=0) as file:
            for size in (65536, 512, 1):
                _fill(file, size)
        code = search.wait()
        done = count(run_dir, "finished")
        require(code == 2, f"exit code {code}: {search.errors}")
        require(search.errors.count("\n") == 1 and "No space left" in search.errors, search.errors)
        filler.unlink()
        resumed = Search.resume(run_dir, log=folder)
        require(resumed.wait() == 0, resumed.errors)
        check_whole(run_dir, 6)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
    return f"tmpfs of 16 MB full after {done} of 6 trials: exit code 2, {search.errors.strip()!r}; resumed to 6 of 6"


def _fill(file: Any, size: int) -> None:
    try:
        while True:
            file.write(b"\0" * size)
    except OSError:
        return


def interrupted(folder: Path, args: argparse.Namespace) -> str:
    said = []
    for name, signals in (("once", [signal.SIGINT]), ("term", [signal.SIGTERM]), ("twice", [signal.SIGINT] * 2)):
        run_dir = folder / name
        search = Search.new(run_dir, "--trials", "4", *LONG)
        search.until(lambda d=run_dir: [*d.glob("checkpoints/*.pt")], "checkpoint")  # type: ignore[misc]
        sent = time.monotonic()
        for number in signals:
            os.killpg(search.process.pid, number)  # as a terminal does, and timeout, Slurm or systemd
            time.sleep(0.5)
        begun = count(run_dir, "started")
        code, took = search.wait(), time.monotonic() - sent
        require(code == 130 and not search.errors, f"{name}: exit code {code}: {search.errors}")
        go_on = f"to go on: python -m nas.search --resume {shlex.quote(str(run_dir))}"
        require(go_on in search.output, "does not say how to go on")
        require((run_dir / "report.html").exists(), "no report")
        require(count(run_dir, "started") == begun, "started trials after the signal")
        said.append(f"{name}: {took:.0f} s, {search.output.count('paused')} paused")
    resumed = Search.resume(folder / "once")
    require(resumed.wait() == 0, resumed.errors)
    check_whole(folder / "once", 4)
    return f"exit code 130, report written ({'; '.join(said)}); resumed to 4 of 4"


def asked_for(folder: Path, args: argparse.Namespace) -> str:
    run_dir = folder / "asked"
    first = Search.new(run_dir, "--budget", f"{args.budget_s:.0f}s", "--epochs", "2")
    first.until(lambda: count(run_dir, "started"), "first trial")
    second = Search.resume(run_dir)
    require(second.wait() == 2 and second.errors.count("\n") == 1, second.errors)
    require("another process is writing" in second.errors, second.errors)
    require(first.wait() == 0, first.errors)
    took = time.monotonic() - first.started
    require("to go on: python -m nas.search --resume" in first.output, "does not say how to go on")
    trials = len(ledger.read(run_dir))
    more = Search.resume(run_dir, "--trials", str(trials + 2), "--budget", "1h")
    require(more.wait() == 0, more.errors)
    check_whole(run_dir, trials + 2)
    done = len(events(run_dir))
    same = Search.resume(run_dir)
    require(same.wait() == 0 and len(events(run_dir)) == done, "a finished run is not left as it is")
    fewer = Search.resume(run_dir, "--trials", str(trials))
    require(fewer.wait() == 2 and fewer.errors.count("\n") == 1, fewer.errors)
    return (
        f"--budget {args.budget_s:.0f}s ends after {took:.0f} s with {trials} trials, exit code 0; a second driver is "
        f"refused ({second.errors.strip()!r}); resumed to {trials + 2}; again: nothing runs; to {trials}: "
        f"{fewer.errors.strip()!r}"
    )


PARTS: dict[str, tuple[Callable[[Path, argparse.Namespace], str], ...]] = {
    "a": (driver_killed,),
    "b": (worker_killed, worker_always_killed, worker_out_of_memory),
    "c": (machine_dies,),
    "d": (ledger_cut,),
    "e": (disk_full,),
    "f": (interrupted, asked_for),
}


def main(argv: Sequence[str]) -> None:
    parser = command.Parser("python benchmarks/faults.py", description=__doc__)
    parser.add_argument("--part", action="append", choices=list(PARTS), help="repeatable; all where none is given")
    parser.add_argument("--kills", type=int, default=20, help="of part a")
    parser.add_argument("--trials", type=int, default=40, help="of part a")
    parser.add_argument("--latest-s", type=float, default=45, help="a kill comes at most so long after the start")
    parser.add_argument("--budget-s", type=float, default=60, help="of part f")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of part a")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where the run folders stay (default: deleted)")
    args = parser.parse_args(argv)
    if sys.platform != "linux":
        raise UserError("this benchmark needs Linux")
    made = environment.describe(0)
    print(f"machine: {made['cpu']}, {made['cpus']} cores; ray {made['ray']}, Python {made['python']}", flush=True)
    missed = False
    for name in args.part or PARTS:
        for part in PARTS[name]:
            folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=args.keep))
            try:
                line = part(folder, args)
            except BarMissed as error:
                missed, line = True, f"MISSED: {error} (in {folder})"
            else:
                if not args.keep:
                    shutil.rmtree(folder, ignore_errors=True)
            print(f"{name} {part.__name__.replace('_', ' ')}: {line}", flush=True)
    sys.exit(missed)


if __name__ == "__main__":
    command.run(main)
