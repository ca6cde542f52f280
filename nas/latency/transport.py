"""How a client reaches the agent (nas/latency/agent.py) on a device: addresses, and requests over a process's pipes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Any

from nas.latency import agent
from search_spaces import UserError

Transport = Callable[[str], list[str]]
"""The command that runs a line of Python on the device, whose stdin, stdout and stderr are the line's."""

PYTHON = "python3"  # on a device, where the address names none
CONNECT_S = 15  # until ssh gives up
ANSWER_S = 10.0  # for an answer to come, beside what the agent may take
SLOWEST = 1e5  # bytes a second, of a line that is worth waiting for
_SSH = re.compile(r"(?:([\w.][\w.-]*)@)?([\w.][\w.-]*|\[[\da-fA-F:.%\w]+\])(?::(\d+))?(/.*)?")

# What the device's Python is given as its -c; the agent's source follows on stdin, and the requests follow it.
BOOTSTRAP = (
    "import sys; "
    'sys.version_info < (3, 9) and sys.exit("Python %d.%d is too old, the agent needs 3.9 or newer" % '
    "sys.version_info[:2]); "
    'exec(compile(sys.stdin.buffer.read({}), "agent.py", "exec"))'
)


class DeviceLost(UserError):
    """A device that answered before does so no longer, or what it answers is nonsense."""


def device_of(address: str) -> Transport:
    """Raises UserError where ``address`` is of none of the ``SCHEMES``."""
    scheme, _, rest = address.partition(":")
    transport = SCHEMES[scheme][1](rest) if scheme in SCHEMES else None
    if not transport:
        forms = " or ".join(form for form, _ in SCHEMES.values())
        raise UserError(f"device: {address!r} is not an address of a device, allowed are {forms}")
    return transport


def _local(rest: str) -> Transport | None:
    """A process on this host; for a Python of its own, and to try out what a device will do."""
    return (lambda line: [rest or sys.executable, "-c", line]) if rest[:1] in ("", "/") else None


def _ssh(rest: str) -> Transport | None:
    """Keys, jumps and the like are for the user's ssh configuration; no question is ever asked."""
    if not (found := _SSH.fullmatch(rest)):
        return None
    user, host, port, python = found.groups()
    options = ["BatchMode=yes", f"ConnectTimeout={CONNECT_S}", "ServerAliveInterval=5", "ServerAliveCountMax=3"]
    flags = [flag for option in (*options, "LogLevel=ERROR") for flag in ("-o", option)]
    flags += [*(["-p", port] if port else []), *(["-l", user] if user else [])]

    def command(line: str) -> list[str]:
        return [
            "ssh",
            "-T",
            *flags,
            "--",
            host.strip("[]"),
            f"exec {shlex.quote(python or PYTHON)} -c {shlex.quote(line)}",
        ]

    return command


# How an address is written, and what makes a transport of what comes after its colon, or None of what is wrong.
SCHEMES: dict[str, tuple[str, Callable[[str], Transport | None]]] = {
    "local": ("local:[/path/to/python]", _local),
    "ssh": ("ssh:[user@]host[:port][/path/to/python]", _ssh),
}


class Connection:
    """An agent that runs on the device at ``address`` until this is closed, or its process ends in whatever way.

    description: what the agent says of the device. lost: it answers no longer.
    Raises UserError, one line, where there is no such device or no agent can run on it.
    """

    def __init__(self, address: str) -> None:
        self.address, self.lost = address, False
        source = Path(agent.__file__).read_bytes()
        command = device_of(address)(BOOTSTRAP.format(len(source)))
        pipe, self._errors = subprocess.PIPE, tempfile.TemporaryFile()  # noqa: SIM115
        try:  # in a session of its own, where Ctrl-C does not reach it
            self._process = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=self._errors, start_new_session=True
            )
        except OSError as error:
            self._errors.close()
            raise UserError(f"device: {address}: {command[0]} cannot be run here: {error.strerror}") from None
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert isinstance(stdout, BufferedReader)
        self._to, self._from = stdin, stdout
        try:
            self.description = self.ask("describe", limit_s=CONNECT_S, source=source)
        except BaseException:
            self.close()
            raise

    def ask(
        self, what: str, program: bytes = b"", limit_s: float = 60.0, source: bytes = b"", **fields: Any
    ) -> dict[str, Any]:
        """The agent's answer. limit_s: for what it does once it has heard all; then it ends itself. source: its own,
        which is said before all else.

        Raises UserError where it refuses, and DeviceLost where it does not answer, or not in time.
        """
        if self.lost:
            raise DeviceLost(f"device: {self.address}: its agent is gone")
        start = time.monotonic()
        watchdog = threading.Timer(limit_s + ANSWER_S + len(program) / SLOWEST, self._process.kill)
        watchdog.daemon = True
        watchdog.start()
        self.lost = True  # until it has answered
        try:
            with suppress(BrokenPipeError):  # what it said before it ended says more
                self._to.write(source)
                agent.send(self._to, {"do": what, "limit_s": limit_s, **fields}, program)
            answer, _ = agent.receive(self._from)
        except agent.Garbled as error:
            said = " ".join(str(error).split())
            raise DeviceLost(f"device: {self.address}: something else than the agent answers: {said!r}") from None
        except (OSError, EOFError):
            cause = f"no answer within {limit_s:g} s" if time.monotonic() - start > limit_s else self._last_words()
            failed = "no agent starts there" if source else f"cannot {what}"
            raise DeviceLost(f"device: {self.address}: {failed}: {cause}") from None
        finally:
            watchdog.cancel()
        self.lost = False
        if "refused" in answer:
            raise UserError(f"device: {self.address}: {answer['refused']}")
        return answer

    def _last_words(self) -> str:
        try:
            code = self._process.wait(2)
        except subprocess.TimeoutExpired:
            return "its agent closed the line"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), f"its agent ended with code {code}")

    def close(self) -> None:
        """The agent ends, whatever it does, and the device is free."""
        if self.lost:
            self._process.kill()
        self.lost = True
        for file in (self._to, self._from):
            with suppress(OSError):  # what is left to write to one that is gone
                file.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()
