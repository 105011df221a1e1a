"""Workers of a Dask cluster that runs already; only its scheduler's address is needed.

Each part of the search lives in one worker's memory. Tasks are pinned to it, and parts exchange states from worker to
worker. Dask pickles what it moves, between programs of one cluster, which trust each other; p2plab gives it only its own
functions by name, numbers, words and arrays of integers, and nothing of a driver.
"""

from __future__ import annotations

import contextlib
import re
import socket
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from p2plab import __version__
from p2plab.core.errors import BadInput
from p2plab.search.parallel.team import LATE, Lost, Message, NoWorkers

if TYPE_CHECKING:
    from distributed import Client, Future

#: Seconds to wait for a scheduler, and for a worker where there is none left.
CONNECT, PATIENCE = 5.0, 30.0
#: How often the workers are checked (seconds).
_LOOK = 0.5

_ADDRESS = re.compile(r"(?:tcp|tls)://(?P<host>[\w.-]{1,200}|\[[0-9a-fA-F:.%]{1,60}\]):(?P<port>[0-9]{1,5})")
_GONE = "the cluster's scheduler does not answer any more: the search is given up"
_MISSING = "this needs Dask: pip install 'p2plab[cluster]'"


class Cluster:
    """A :class:`~p2plab.search.parallel.team.Team`. ``parts``: how many; one for each worker if it is None.

    ``where`` is ``tcp://host:port`` or your own ``distributed.Client``, which is left open.
    :exc:`BadInput` if there is no such cluster, or it has no workers, or they have another p2plab.
    """

    def __init__(self, where: str | Client, parts: int | None = None) -> None:
        self._own = isinstance(where, str)
        self._client: Client = connect(where) if isinstance(where, str) else where
        self._until: float | None = None
        self._home: list[str] = []
        try:
            self._search = uuid.uuid4().hex
            there = self._there()
            if not there:
                raise BadInput("the cluster has no workers")
            self.parts = parts or len(there)
            self._home = [there[part % len(there)] for part in range(self.parts)]
            self._same_version(there)
        except BaseException:
            self.close()
            raise

    def ask(self, kind: str, messages: Mapping[int, Message]) -> dict[int, Message]:
        """A message to some of the parts at once, and their answers."""
        return self._gather(
            {part: self._on(part, answer, part, kind, dict(message)) for part, message in messages.items()}
        )

    def exchange(self, messages: Mapping[int, Message]) -> dict[int, Message]:
        """See :meth:`~p2plab.search.parallel.team.Team.exchange`."""
        tasks = {}
        for part, message in messages.items():
            others = [other for other in range(self.parts) if other != part]
            letters = [self._on(other, letter, other, part, message["round"]) for other in others]
            tasks[part] = self._on(part, insert, part, dict(message), others, *letters)
        return self._gather(tasks)

    def replace(self, parts: list[int]) -> None:
        """Remaining workers take over what was lost; if there is none, wait for one."""
        patience = PATIENCE if self._until is None else max(0.5, min(PATIENCE, self._until - time.monotonic()))
        with contextlib.suppress(TimeoutError, OSError, CancelledError):
            self._client.wait_for_workers(1, timeout=patience)
        there = self._there()
        if not there:
            raise NoWorkers(f"the cluster has had no workers for {patience:.0f} s: the search is given up")
        for part in parts:
            self._home[part] = min(there, key=self._home.count)

    def limit(self, seconds: float | None) -> None:
        """See :meth:`~p2plab.search.parallel.team.Team.limit`."""
        self._until = None if seconds is None else time.monotonic() + seconds

    def close(self) -> None:
        """Make the workers forget the search, and leave the cluster."""
        with contextlib.suppress(Exception):
            self._client.run(forget, self._search, workers=sorted({*self._home} & {*self._there()}), on_error="ignore")
        if self._own:
            with contextlib.suppress(Exception):
                self._client.close(timeout=2)  # type: ignore[no-untyped-call]

    # -- inside -----------------------------------------------------------------------------------------------------

    def _there(self) -> list[str]:
        """The workers' addresses. :exc:`NoWorkers` if the scheduler is gone."""
        if self._client.status != "running":
            raise NoWorkers(_GONE)
        try:
            return sorted(self._client.ncores())  # type: ignore[no-untyped-call]
        except (OSError, TimeoutError, CancelledError) as error:
            raise NoWorkers(f"{_GONE} ({type(error).__name__})") from None

    def _on(self, part: int, function: Any, *arguments: Any) -> Future[Any]:
        task: Future[Any] = self._client.submit(
            function,
            self._search,
            *arguments,
            workers=[self._home[part]],
            allow_other_workers=False,
            pure=False,
        )
        return task

    def _gather(self, tasks: dict[int, Future[Any]]) -> dict[int, Message]:
        from distributed import wait

        while True:
            try:
                with self._client.as_current():
                    wait(list(tasks.values()), timeout=_LOOK)  # type: ignore[no-untyped-call]
                break
            except TimeoutError:
                self._look_for_the_lost(tasks)
            except (
                CancelledError,
                OSError,
            ) as error:  # FuturesCancelledError, CommClosedError: the scheduler went away
                raise NoWorkers(f"{_GONE} ({type(error).__name__})") from None
        answers: dict[int, Message] = {}
        lost: list[int] = []
        for part, task in tasks.items():
            if task.status == "finished":
                try:
                    answers[part] = task.result(timeout=CONNECT)
                except Exception:  # noqa: BLE001  the worker died between the end of its task and our asking
                    lost.append(part)
            elif task.status == "error":
                lost += self._after_an_error(part, task)
            else:
                lost.append(part)
        lost += [part for part, message in answers.items() if "gone" in message]
        if lost:
            raise Lost(sorted(set(lost)))
        return answers

    def _look_for_the_lost(self, tasks: dict[int, Future[Any]]) -> None:
        if self._until is not None and time.monotonic() > self._until:
            raise NoWorkers(LATE)
        there = set(self._there())
        lost = [part for part, home in enumerate(self._home) if home not in there]
        if lost:
            self._client.cancel(list(tasks.values()), force=True)  # type: ignore[no-untyped-call]
            raise Lost(lost)

    def _after_an_error(self, part: int, task: Future[Any]) -> list[int]:
        from distributed import KilledWorker

        error = task.exception(timeout=CONNECT)  # type: ignore[no-untyped-call]
        if isinstance(error, (KilledWorker, OSError)):
            return [part]
        raise NoWorkers(f"a worker of the cluster failed: {type(error).__name__}: {str(error)[:200]}") from None

    def _same_version(self, there: Sequence[str]) -> None:
        from distributed import KilledWorker

        tasks = [self._client.submit(version, workers=[home], pure=False) for home in there]
        for home, task in zip(there, tasks, strict=True):
            try:
                found = task.result(timeout=PATIENCE)
            except (KilledWorker, CancelledError, OSError, TimeoutError) as error:
                raise BadInput(f"the worker at {home} went away or does not answer ({type(error).__name__})") from None
            except Exception as error:  # noqa: BLE001  whatever keeps a worker from answering is said in a sentence
                said = f"{type(error).__name__}: {str(error)[:120]}"
                raise BadInput(f"the worker at {home} needs p2plab {__version__} as well ({said})") from None
            if found != __version__:
                raise BadInput(f"the worker at {home} has p2plab {found}; here is {__version__}")


def connect(address: str) -> Client:
    """A client of the scheduler there. :exc:`BadInput` if Dask is not installed, or no scheduler answers."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise BadInput(f"{address[:60]!r} is not a scheduler's address; write tcp://HOST:PORT")
    try:
        from distributed import Client
    except ImportError:
        raise BadInput(_MISSING) from None
    try:
        # Dask keeps asking a port without a listener; this detects that at once.
        socket.create_connection((match["host"].strip("[]"), int(match["port"])), timeout=CONNECT).close()
        return Client(address, timeout=CONNECT, set_as_default=False, name="p2plab")  # type: ignore[no-untyped-call]
    except (OSError, OverflowError, ValueError) as error:
        raise BadInput(f"no Dask scheduler answers at {address} ({type(error).__name__})") from None


# -- on the workers -------------------------------------------------------------------------------------------------

_PARTS: dict[tuple[str, int], Any] = {}


def version() -> str:
    """The p2plab version of a worker."""
    return __version__


def answer(search: str, number: int, kind: str, message: Message) -> Message:
    """A part's answer to a message; ``gone`` if this worker does not have the part (any more)."""
    from p2plab.search.parallel.part import Part

    if kind == "begin":
        _PARTS[search, number] = Part()
    part = _PARTS.get((search, number))
    return {"gone": 1} if part is None else part.answer(kind, message)


def letter(search: str, number: int, to: int, turn: int) -> Any:
    """What a part has for another in that round; None if it has nothing of it."""
    part = _PARTS.get((search, number))
    return None if part is None else part.letter(to, turn)


def insert(search: str, number: int, message: Message, others: Sequence[int], *letters: Any) -> Message:
    """Give a part the states that others have for it."""
    if any(each is None for each in letters):
        return {"gone": 1}
    message |= {f"words{other}": words for other, words in zip(others, letters, strict=True)}
    return answer(search, number, "insert", message)


def forget(search: str) -> None:
    """Free the memory of a search's parts."""
    for key in [key for key in _PARTS if key[0] == search]:
        del _PARTS[key]
