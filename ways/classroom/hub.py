"""The rehearsal's hub: started in a throwaway folder on loopback, and ended with all that it started."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).parent
PROXY = "configurable-http-proxy"
#: What a hub may take to answer for the first time.
PATIENCE = 60


class NoHub(Exception):
    """The hub cannot be started here; the sentence says what is missing."""


@dataclass(frozen=True)
class Hub:
    """A running hub: ``url`` without a slash at its end, the password of every student, the folder with their homes."""

    url: str
    password: str
    folder: Path
    pid: int

    def home(self, name: str) -> Path:
        """A student's own folder."""
        return self.folder / "homes" / name

    def log(self) -> str:
        """What the hub, the proxy and the servers have said."""
        return (self.folder / "hub.log").read_text(errors="replace")


def proxy_command() -> str:
    """The proxy that `make class` brought, or the one on the PATH. :exc:`NoHub` where there is none."""
    ours = Path(sys.prefix) / "proxy" / "node_modules" / ".bin" / PROXY
    found = str(ours) if ours.exists() else shutil.which(PROXY)
    if found is None:
        raise NoHub(f"there is no {PROXY} here; `make proxy` brings it (it needs npm; Debian: apt install npm)")
    return found


@contextmanager
def hub(*, in_turn: bool = True) -> Iterator[Hub]:
    """A hub on free ports of 127.0.0.1 until the block ends; ``in_turn``: see in_turn.py.

    :exc:`NoHub` where it does not come up, with its last words.
    """
    command = [sys.executable, "-m", "jupyterhub", "-f", str(HERE / "rehearsal_config.py")]
    proxy = proxy_command()
    made = Path(tempfile.mkdtemp(prefix="p2plab-class-"))
    password = secrets.token_urlsafe(16)
    ports = dict(zip(("public", "hub", "proxy"), _free_ports(3), strict=True))
    # Nothing of the person's own settings, journal or sessions reaches the students.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "P2PLAB", "XDG"))}
    environment = kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(HERE.parents[1]),
        "P2PLAB_REHEARSAL_FOLDER": str(made),
        "P2PLAB_REHEARSAL_PASSWORD": password,
        "P2PLAB_REHEARSAL_PORTS": ",".join(f"{name}={port}" for name, port in ports.items()),
        "P2PLAB_REHEARSAL_PROXY": proxy,
        "P2PLAB_REHEARSAL_IN_TURN": "yes" if in_turn else "no",
    }
    with (made / "hub.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=made, env=environment, stdout=log, stderr=log, start_new_session=True)
    running = Hub(f"http://127.0.0.1:{ports['public']}", password, made, process.pid)
    try:
        _wait_for(running, process)
        yield running
    finally:
        _end(process)
        shutil.rmtree(made, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait_for(running: Hub, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError):
            urllib.request.urlopen(f"{running.url}/hub/health", timeout=2).close()
            return
        time.sleep(0.1)
    raise NoHub(f"the hub did not come up: {running.log()[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the hub as a person would; whatever it leaves behind is ended by name of parent, never by name of program."""
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.kill()
        process.wait(10)
