"""Students in a real hub: the login page, their own servers and kernels, and the protocol that JupyterLab speaks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest

from ways.classroom.hub import Hub
from ways.classroom.kernel import KernelDied
from ways.classroom.lesson import STEPS, lesson, told
from ways.classroom.rehearsal import rehearse
from ways.classroom.student import Lost, Student, arriving
from ways.classroom.usage import KERNEL, SERVER, by_student, usage

pytestmark = pytest.mark.classroom


def visit(hub: Hub, name: str, what: Callable[[Student], Coroutine[Any, Any, None]]) -> None:
    """Let one student do something."""

    async def whole() -> None:
        async with arriving(hub, name) as student:
            await what(student)

    asyncio.run(whole())


async def at_the_first_lesson(student: Student) -> list[str]:
    """Logged in, with a server, a kernel and the lab on the page; the notebook's cells."""
    await student.log_in()
    await student.start_server()
    cells = await student.open_notebook()
    await student.start_kernel()
    await student.see_first_picture(cells)
    return cells


async def kill_the_kernel(student: Student) -> None:
    """As the kernel's own out-of-memory killer would; return once the server has noticed and started another."""
    mine = dict(by_student(usage(student.hub.pid, memory=False)))[student.name]
    student.page.kernel.restarted.clear()
    os.kill(mine[KERNEL].pid, signal.SIGKILL)
    await asyncio.wait_for(student.page.kernel.restarted.wait(), 60)


def test_no_two_students_end_with_the_same_run():
    """Otherwise a mix-up could not be seen."""
    ends = {lesson(number)[-1].token for number in range(len(STEPS))}
    assert len(ends) == len(STEPS) >= 30


def test_three_students_learn_side_by_side_and_nobody_sees_anothers_work(class_hub: Hub):
    """Each page shows, press after press, what the model says; each run is in its owner's journal and in no other."""
    report = asyncio.run(rehearse(class_hub, 3, pause=0))
    assert report.lost == []
    assert report.mixed == []
    assert len({student.token for student in report.students}) == 3
    for student in report.students:
        assert student.token == lesson(int(student.name[-2:]))[-1].token
        assert student.page.stage()
    parts = dict(by_student(report.used))
    assert sorted(parts) == ["student00", "student01", "student02"]
    assert all(parts[name][SERVER].pss > 10**7 and parts[name][KERNEL].pss > 10**7 for name in parts)


def test_a_killed_kernel_loses_nothing(class_hub: Hub):
    """SIGKILL in the middle of the lesson: the next kernel offers the run, and it goes on as if nothing had been."""
    clicks = lesson(9)
    middle = len(clicks) // 2

    async def killed(student: Student) -> None:
        cells = await at_the_first_lesson(student)
        await student.do(clicks[:middle])
        before = student.token
        await kill_the_kernel(student)
        student.page.models.clear()
        await student.see_first_picture(cells)
        assert student.token != before
        assert student.page.visible("resume the last run")
        assert await student.journal_offers() == before
        await student.do(clicks[middle:])
        assert student.page.visible("resume the last run") is False

    visit(class_hub, "killed", killed)


def test_a_kernel_killed_while_it_answers_loses_at_most_the_press_it_was_answering(class_hub: Hub):
    """The signal and the press at the same moment: the journal has the run before the press or after it, and whole."""
    before, after = told(["map", "start DMA"]), told(["map", "start DMA", "defrag"])[-1]

    async def killed(student: Student) -> None:
        cells = await at_the_first_lesson(student)
        await student.do(before)
        press = asyncio.create_task(student.page.press("defrag"))
        await asyncio.sleep(0.005)
        await kill_the_kernel(student)
        with contextlib.suppress(KernelDied):
            await press
        student.page.models.clear()
        await student.see_first_picture(cells)
        assert await student.journal_offers() in (before[-1].token, after.token)

    visit(class_hub, "midway", killed)


def test_a_wrong_password_opens_nothing(class_hub: Hub):
    """The door of the rehearsal is locked with a password that is new each time."""

    async def guesses(student: Student) -> None:
        student.hub = Hub(class_hub.url, "guess", class_hub.folder, class_hub.pid)
        with pytest.raises(Lost, match="did not let stranger in: 403"):
            await student.log_in()

    visit(class_hub, "stranger", guesses)


def course_of_a_stranger(folder: Path, ran: Path) -> None:
    """A repository with all that runs where it is let: cells, modules with the names of Python's own, a saved widget."""
    write = f"open({str(ran)!r}, 'w').close()\n"
    cell = {"cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": [], "source": write}
    model = {"model_module": "anywidget", "model_module_version": "*", "model_name": "AnyModel"}
    state = {"a" * 32: model | {"state": {"_esm": "fetch('api/kernels', {method: 'POST'}); export default {}"}}}
    widgets = {"application/vnd.jupyter.widget-state+json": {"version_major": 2, "version_minor": 0, "state": state}}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {
        "cells": [cell],
        "metadata": {"kernelspec": kernel, "widgets": widgets},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    folder.mkdir()
    (folder / "run-me.ipynb").write_text(json.dumps(notebook))
    for name in ("importlib", "json", "runpy", "ipykernel_launcher", "debugpy", "psutil", "sitecustomize", "numpy"):
        (folder / f"{name}.py").write_text(write)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "course"]):
        subprocess.run([*git, *words], cwd=folder, check=True)


def test_a_link_that_brings_notebooks_runs_nothing_of_them(class_hub: Hub, tmp_path: Path):
    """nbgitpuller fetches, JupyterLab opens and starts the kernel as it does by itself; nothing that was fetched has run."""
    course_of_a_stranger(tmp_path / "course", tmp_path / "ran")

    async def follows(student: Student) -> None:
        await student.log_in()
        await student.start_server()
        query = f"?repo=file://{tmp_path}/course&branch=main&urlpath=lab/tree/course/run-me.ipynb"
        page = await student.web.get(f"{student.base}/git-pull{query}")
        assert page.status_code == 200
        for _again in range(2):
            pulled = await student.web.get(f"{student.base}/git-pull/api{query}", headers=student.forgery_token())
            assert '"phase": "finished"' in pulled.text, pulled.text
        assert await student.sessions() == []
        shown = await student.web.get(f"{student.base}/lab/tree/course/run-me.ipynb")
        assert shown.status_code == 200
        run_at_once = await student.web.get(f"{student.base}/voila/render/course/run-me.ipynb")
        assert run_at_once.status_code == 404
        opened = await student.web.get(f"{student.base}/api/contents/course/run-me.ipynb?content=1")
        assert opened.json()["content"]["metadata"].keys() == {"kernelspec"}
        try:
            await asyncio.wait_for(student.start_kernel("course/run-me.ipynb"), 60)
            for request in ("comm_info_request", "kernel_info_request"):
                await student.page.kernel.ask(request, {})
        finally:
            assert not (tmp_path / "ran").exists()
        await student.page.run(opened.json()["content"]["cells"][0]["source"])
        assert (tmp_path / "ran").exists()

    visit(class_hub, "puller", follows)


def test_the_hub_and_its_kernels_answer_on_loopback_only(class_hub: Hub):
    """Everything that the rehearsal opened listens on 127.0.0.1."""
    family = [psutil.Process(class_hub.pid), *psutil.Process(class_hub.pid).children(recursive=True)]
    listening = {c.laddr.ip for each in family for c in each.net_connections("inet") if c.status == "LISTEN"}
    assert listening == {"127.0.0.1"}


def test_what_a_student_saw_is_in_no_log(class_hub: Hub):
    """The hub's log names no password and no run."""
    assert class_hub.password not in class_hub.log()
    assert not re.search(r"p2p1\.workbench", class_hub.log())
