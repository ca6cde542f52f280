"""Every published network measured on one device, into a folder that can be gone on with: ``spec.yaml`` (how), the
ledger (what was found, a trial a network), ``report.html`` and ``log.txt``. What it means: reports/catalogue.py."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from nas import lifecycle
from nas.environment import describe
from nas.flags import out_of
from nas.latency.modes import here, without
from nas.lease import Lease
from nas.progress import log, log_to
from reports import catalogue as report
from reports import specs, summary
from reports.terminal import say
from search_spaces import Arch, UserError, constraint, cost
from search_spaces.constraint import Constraint
from search_spaces.errors import found_in
from search_spaces.published import Published, catalogue
from studies import ledger, runfolder
from studies.ledger import Latency, Outcome, TrialRecord
from studies.spec import LatencySpec, parse

NAME = "catalogue"
COMMAND = "python -m nas.latency --catalogue"
FLAGS = "batch_size", "threads", "mode", "dtype", "precision", "max_s", "warmup_s", "block_ms", "retries", "energy_s"


@dataclass(frozen=True)
class Job:
    """device: ``cpu``, ``cuda`` or an address. folder: where it goes on. json: nothing but one object on stdout."""

    networks: tuple[Published, ...]
    device: str
    spec: LatencySpec
    limits: tuple[Constraint, ...]
    folder: Path
    json: bool = False

    @property
    def remote(self) -> bool:
        return ":" in self.device

    @property
    def console(self) -> Console:
        return Console(stderr=self.json, highlight=False)

    def entries(self, records: Sequence[TrialRecord] = ()) -> list[report.Entry]:
        ended = {record.arch.id: record for record in records if record.outcome}
        return report.judge(self.networks, ended, self.limits)


def command(args: argparse.Namespace, spec: LatencySpec | None, line: str) -> None:
    """``--catalogue`` with its flags; spec: None with --resume. line: the command line, for the record."""
    networks = tuple(catalogue().values())
    limits = tuple(constraint.parse(text, report.METRICS) for text in args.constraint)
    if spec is None:
        resume(networks, Path(args.resume), limits, line, args.json)
        return
    device = args.device if args.device and ":" in args.device else here(args.device, spec)
    out = out_of(vars(args), NAME).expanduser().absolute()
    begin(Job(networks, device, spec, limits, out, args.json), line)


def begin(job: Job, line: str) -> None:
    """Measures into a new folder. Raises UserError where it holds a run, the device cannot do what is asked for, or no
    network can keep the limits."""
    runfolder.check_free(job.folder)
    if all(entry.left_out for entry in job.entries()):
        raise UserError(f"constraint: no published network is within {' and '.join(map(str, job.limits))}")
    _key(job)
    runfolder.create(job.folder)
    with ledger.Ledger(job.folder) as writer, log_to(job.folder / runfolder.LOG):
        runfolder.check_free(job.folder)  # another run may have begun since
        about = lifecycle.head(line, int(job.device == "cuda")) | {
            "device": job.device,
            "constraints": [str(limit) for limit in job.limits],
            "latency": {name: getattr(job.spec, name) for name in FLAGS},
            NAME: {network.name: network.arch.id for network in job.networks},
        }
        runfolder.write_yaml(job.folder / runfolder.SPEC, about)
        _go(job, writer, about)


def resume(
    networks: tuple[Published, ...], folder: Path, limits: tuple[Constraint, ...], line: str, as_json: bool
) -> None:
    """Measures what the folder lacks: what was not begun, failed, or was deferred. limits: instead of the folder's, if
    there are any. Raises UserError where it holds no such run or was measured with something else."""
    folder = folder.expanduser().absolute()
    path = folder / runfolder.SPEC
    about = lifecycle.recorded(folder, NAME, "measurements of the catalogue")
    if specs.field(path, about, NAME, dict) != {network.name: network.arch.id for network in networks}:
        raise UserError(f"--resume: the catalogue has changed since {folder} was begun; begin a new folder")
    torch_then = specs.field(path, about, "environment.torch", str)
    texts = specs.texts(path, about, "constraints")
    with found_in(path):
        kept = tuple(constraint.parse(text, report.METRICS) for text in texts)
        spec = parse({"latency": about.get("latency")}).latency
    job = Job(networks, specs.field(path, about, "device", str), spec, limits or kept, folder, as_json)
    if not job.remote:
        here(job.device, spec)
    now = _key(job) | {"torch": describe(0)["torch"]}
    with ledger.Ledger(folder) as writer, log_to(folder / runfolder.LOG):
        for record in ledger.read(folder):
            if record.outcome and record.outcome.latency and record.outcome.latency_ms is not None:
                then = record.outcome.latency.key | {"torch": torch_then}
                for name in now:
                    if now[name] != then.get(name):
                        was = f"{name} {then.get(name)}, here it is {now[name]}"
                        raise UserError(f"--resume: {folder} was measured with {was}; begin a new folder")
        about |= {"constraints": [str(limit) for limit in job.limits], "resumed": [*about.get("resumed", []), line]}
        runfolder.write_yaml(path, about)
        _go(job, writer, about)


def _key(job: Job) -> dict[str, Any]:
    """What the latencies will be comparable under, but for the resolution. Raises UserError where the device cannot be
    reached, or cannot tell what the limits need."""
    memory = next((str(limit) for limit in job.limits if limit.metric == "peak_memory_mb"), None)
    if memory and (job.remote or (job.device == "cpu" and sys.platform != "linux")):
        where = "on another device" if job.remote else f"on the CPU of {platform.system()}"
        raise UserError(f"constraint: {memory}: memory is not measured {where}")
    if job.remote:
        from nas.latency.remote import ready

        return ready(job.spec, job.device)
    import torch

    from nas.latency.measure import key_here

    return without(key_here(job.spec, 0, torch.device(job.device)), "resolution")


def _go(job: Job, writer: ledger.Ledger, about: Mapping[str, Any]) -> None:
    """Measures what is left, then writes and prints what was found, however it ended."""
    with lifecycle.with_report(job.console, lambda: finish(job, about), COMMAND, job.folder):
        _measure_all(job, writer)
    finish(job, about)


def finish(job: Job, about: Mapping[str, Any]) -> None:
    """Writes the page and prints the table, or the JSON object; the last line names the best network."""
    from reports.pages import catalogue_page

    entries = job.entries(ledger.read(job.folder))
    page = catalogue_page.write(job.folder, entries, job.limits, about)
    runfolder.write_archs(job.folder, [entry.record for entry in report.front(entries)])
    if job.json:
        measured = [entry.latency.key for entry in entries if entry.latency]
        found: dict[str, Any] = {"folder": str(job.folder), "page": str(page)}
        found |= {"key": summary.shared_and_varying(measured)[0], "environment": about["environment"]}
        print(json.dumps(found | report.to_json(entries, job.limits), indent=1))
        return
    job.console.print(report.table(entries, job.limits))
    if named := report.left_out(entries):
        job.console.print(named)
    say(job.console, f"folder: {job.folder}")
    say(job.console, f"page: {page}")
    say(job.console, report.verdict(entries, job.limits))


def _measure_all(job: Job, writer: ledger.Ledger) -> None:
    """The network of fewest MACs first, so that an early end leaves the widest choice."""
    from nas.latency.catalogue_progress import CatalogueProgress

    known = job.entries(ledger.read(job.folder))
    left = [e for e in known if not e.left_out and not (e.record.outcome and e.record.outcome.status == "ok")]
    with CatalogueProgress(job.console, known, left, job.limits) as progress:
        for entry in left:
            progress.begin(entry)
            begun = time.monotonic()
            writer.started(entry.record.number, entry.network.arch, 0)
            outcome, error = _outcome(entry, job)
            writer.finished(entry.record.number, outcome)
            progress.end(entry, outcome, time.monotonic() - begun)
            if job.remote and isinstance(error, UserError):
                _key(job)  # raises where it is not the network that failed


def _outcome(entry: report.Entry, job: Job) -> tuple[Outcome, Exception | None]:
    """Of one network; a failure is an outcome too."""
    arch = entry.network.arch
    known: dict[str, Any] = {**cost.count(arch)._asdict(), "top1": entry.network.top1}
    begun = time.monotonic()
    try:
        latency, known["peak_memory_mb"] = _measured(arch, job)
    except Exception as error:
        log.exception("%s", entry.network.name)
        first = (str(error).splitlines() or [""])[0]
        named = first if isinstance(error, UserError) else f"{type(error).__name__}: {first}"
        return Outcome("failed", **known, error=named), error
    known |= {"latency": latency, "timings": {"measured_s": round(time.monotonic() - begun, 3)}}
    if latency.p50_ms is None:
        return Outcome("failed", **known, error=f"{latency.status}, {', '.join(latency.reasons)}"), None
    return Outcome("ok", **known), None


def _measured(arch: Arch, job: Job) -> tuple[Latency, float | None]:
    if job.remote:
        from nas.latency.remote import measure_remote

        return measure_remote(arch, arch.resolution, job.spec, job.device), None
    import torch

    from nas.latency.footprint import peak_memory_mb
    from nas.latency.measure import measure
    from search_spaces.build import build_model

    lease, device = Lease.of_host(), torch.device(job.device)
    with lease.sharing():  # as all work that would disturb a measurement
        memory_mb = peak_memory_mb(arch, job.spec, device)
        model = build_model(arch)
    try:
        return measure(model, arch.resolution, job.spec, device, lease), memory_mb
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()
