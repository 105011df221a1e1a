"""Many students at once in one hub: who was lost, what each waited for, and whether anybody saw another's work."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from ways.classroom.hub import Hub
from ways.classroom.lesson import Click, lesson
from ways.classroom.student import Lost, Student, arriving, attend
from ways.classroom.usage import Load, Usage, usage

#: Seconds between a student's presses: somebody who reads what the page says takes longer.
PAUSE = 1.0


@dataclass
class Report:
    """What a rehearsal found. ``lost`` has a sentence for each student who did not get on, ``mixed`` for each mix-up."""

    students: list[Student]
    lost: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    used: list[Usage] = field(default_factory=list)
    arriving: Load | None = None
    clicking: Load | None = None
    answers_arriving: list[float] = field(default_factory=list)
    answers_settled: list[float] = field(default_factory=list)

    def seconds_to(self, mark: str) -> list[float]:
        """Seconds from arrival to a mark, of those who reached it."""
        return [student.marks[mark] for student in self.students if mark in student.marks]


async def rehearse(hub: Hub, count: int, over: float = 0.0, pause: float = PAUSE) -> Report:
    """``count`` students arrive within ``over`` seconds, do the lesson as they come, again when all are there, and read on."""
    lessons = {f"student{number:02}": lesson(number) for number in range(count)}
    async with AsyncExitStack() as doors:
        students = [await doors.enter_async_context(arriving(hub, name)) for name in lessons]
        report = Report(students)
        with Load(hub.pid) as report.arriving:
            jobs = (_come(each, lessons[each.name], n * over / count, pause) for n, each in enumerate(students))
            ended = await asyncio.gather(*jobs, return_exceptions=True)
        there = _those_who_got_on(students, ended, report)
        report.answers_arriving = [seconds for student in there for seconds in student.answers]
        with Load(hub.pid) as report.clicking:
            ended = await asyncio.gather(
                *(_again(each, lessons[each.name], pause) for each in there), return_exceptions=True
            )
        there = _those_who_got_on(there, ended, report)
        report.answers_settled = [seconds for student in there for seconds in student.answers]
        report.used = await asyncio.to_thread(usage, hub.pid)
        ended = await asyncio.gather(*(each.read_on() for each in there), return_exceptions=True)
        there = _those_who_got_on(there, ended, report)
        report.mixed = [sentence for each in there for sentence in await mix_ups(each, there, lessons[each.name])]
    return report


async def _come(student: Student, clicks: list[Click], after: float, pause: float) -> None:
    await asyncio.sleep(after)
    student.arrive()
    await attend(student, clicks, pause)


async def _again(student: Student, clicks: list[Click], pause: float) -> None:
    student.answers.clear()
    await student.page.press("reset")
    await student.do(clicks, pause)


def _those_who_got_on(students: list[Student], ended: list[BaseException | None], report: Report) -> list[Student]:
    for student, error in zip(students, ended, strict=True):
        if isinstance(error, Exception):
            report.lost.append(f"{student.name}: {type(error).__name__}: {error}")
        elif error is not None:
            raise error
    return [student for student, error in zip(students, ended, strict=True) if error is None]


async def mix_ups(student: Student, others: list[Student], clicks: list[Click]) -> list[str]:
    """Sentences about what of another's a student sees, or what of their own is elsewhere; normally none."""
    found = []
    kernels = [session["kernel"]["id"] for session in await student.sessions()]
    if kernels != [student.kernel_id]:
        found.append(f"{student.name} has kernels {kernels} and started {student.kernel_id}")
    tokens = {json.loads(line)["token"] for line in journal(student).splitlines()}
    foreign = tokens - {click.token for click in clicks} - {student.first_token}
    if foreign:
        found.append(f"{student.name}'s journal holds what {student.name} did not do: {sorted(foreign)}")
    if clicks[-1].token not in tokens:
        found.append(f"{student.name}'s journal lacks the last run")
    neighbour = others[(others.index(student) + 1) % len(others)]
    if neighbour is not student and not await student.is_kept_out_of(neighbour):
        found.append(f"{student.name} could open the server of {neighbour.name}")
    return found


def journal(student: Student) -> str:
    """A student's journal, where p2plab keeps it by itself: in the home."""
    file = student.hub.home(student.name) / ".local" / "share" / "p2plab" / "journal.jsonl"
    if not file.is_file():
        raise Lost(f"{student.name} has no journal at {file}")
    return file.read_text(encoding="utf-8")
