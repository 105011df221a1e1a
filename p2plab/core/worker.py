"""A worker: an actor that does jobs from an inbox, one after the other, and is idle when there are none.

This is how a person's button reaches a driver: pressing it puts a job's name into the inbox, which is shared state like
any other, so the press is a step in the schedule and replays with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from p2plab.core.actors import JobFunction, idle
from p2plab.core.errors import BadInput, KernelError
from p2plab.core.events import Event, emit
from p2plab.core.names import unknown
from p2plab.core.tracked import Tracked
from p2plab.core.world import World


@dataclass(frozen=True, slots=True)
class JobBegun(Event):
    """The actor of the entry took a job from its inbox."""

    job: str

    def __str__(self) -> str:
        return f"begins {self.job}"


@dataclass(frozen=True, slots=True)
class JobFailed(Event):
    """The job ended with an errno, which its caller gets."""

    job: str
    error: str

    def __str__(self) -> str:
        return f"{self.job} fails: {self.error}"


class Worker(Tracked):
    """``jobs`` by name, and the inbox of those still to do. A job that raises KernelError has failed, and is logged."""

    def __init__(
        self, world: World, name: str, jobs: dict[str, JobFunction], inbox: Iterable[str] = (), ready: int = 0
    ) -> None:
        self.name = name
        self.jobs = jobs
        self.inbox = list(inbox)
        self.check(self.inbox)
        world.actor(name, self.run, ready)

    def check(self, names: Iterable[str]) -> None:
        """:exc:`BadInput` for a name that no job has: a plan is written by hand."""
        for name in names:
            if name not in self.jobs:
                raise BadInput(unknown(f"job of {self.name}", name, list(self.jobs)))

    def post(self, job: str) -> None:
        """Put a job into the inbox, within the running step."""
        if job not in self.jobs:
            raise ValueError(f"{self.name} has no job {job!r}; it has {', '.join(self.jobs)}")
        self.inbox.append(job)

    async def run(self) -> None:
        """For ever: wait for a job, do it."""
        while True:
            await idle(lambda: self.inbox, "")
            job = self.inbox.pop(0)
            self.begins(job)
            try:
                await self.jobs[job]()
            except KernelError as error:
                self.ends(job, error)
            else:
                self.ends(job, None)

    def begins(self, job: str) -> None:
        """Note that a job begins."""
        emit(JobBegun(job))

    def ends(self, job: str, error: KernelError | None) -> None:
        """Note how it ended; success logs nothing."""
        if error is not None:
            emit(JobFailed(job, str(error)))
