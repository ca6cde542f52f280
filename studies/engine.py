"""How trials are run: proposed, evaluated several at a time by Ray Tune, recorded before anyone acts on them.

``run`` is for real work; ``run_inline`` does the same in this process, one trial after another, to debug and test.
Both are a loop around ``Recorder``, which alone talks to proposer and ledger. Ray is imported by ``run``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from studies.ledger import Outcome
from studies.recorder import Recorder, Task, checkpoint_of
from studies.resources import Resources
from studies.session import Evaluate, attempt, saved


class Stop(BaseException):
    """Ends an evaluation whose trial is to stop; no Exception, so that no handler of failures takes it for one."""


_held: ExitStack | None = None


@contextmanager
def one_ray() -> Iterator[None]:
    """Within it the Ray that the first ``run`` starts is that of the next ones, too: starting one takes 7 s. It ends
    with it; where no ``run`` had anything to do, none is started."""
    global _held
    before = _held
    with ExitStack() as held:
        _held = held
        try:
            yield
        finally:
            _held = before


def run(recorder: Recorder, evaluate: Evaluate, payload: Any, resources: Resources) -> None:
    """Runs trials until the recorder's limits are reached, as many at a time as ``resources`` allow.

    Starts Ray, or uses the one that runs (and leaves it running). A trial whose worker dies begins again on another,
    from its checkpoint where there is one, ``resources.retries`` times at most; then it is ``failed``. Ctrl-C (or
    SIGTERM) lets running trials end or pause and then raises KeyboardInterrupt; a second one raises it at once. Trials
    without an outcome stay in the ledger as started, and ``Recorder(records=...)`` brings them back.
    """
    if not recorder.over:
        from studies import raytune

        raytune.schedule(recorder, evaluate, payload, resources, _held)


def run_inline(recorder: Recorder, evaluate: Evaluate, payload: Any) -> None:
    """``run`` in this process, one trial after another, with the same records."""
    while task := recorder.next():
        session = _InlineSession(recorder, task)
        try:
            outcome = attempt(evaluate, task.arch, task.seed, payload, session)
        except Stop as stop:
            if stop.__cause__:
                raise stop.__cause__ from None
            continue
        recorder.finish(task.number, outcome)


class _InlineSession:
    def __init__(self, recorder: Recorder, task: Task) -> None:
        self._recorder, self._number, self.latency = recorder, task.number, task.latency
        self.checkpoint = checkpoint_of(recorder.checkpoints, task.number)

    def measured(self, known: Outcome) -> None:
        self._call(self._recorder.measured, known)

    def epoch(self, metrics: dict[str, Any]) -> None:
        if not self._call(self._recorder.epoch, metrics, saved(self.checkpoint)):
            raise Stop

    def _call(self, step: Callable[..., Any], *arguments: Any) -> Any:
        """What goes wrong while recording is no failure of the trial."""
        try:
            return step(self._number, *arguments)
        except Exception as error:
            raise Stop from error
