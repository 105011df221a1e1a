"""Scenes of your own: a few lines in a file, run and checked by the same commands."""

import importlib

import pytest

from p2plab.cli import main

SCENE = """
from p2plab.catalog.bench import Plan, scene
from p2plab.catalog.ignorant import IgnorantNic

right = scene("two-pages", "two pages and one move", Plan(pages=2))
wrong = scene("ignored", "a NIC that ignores the notifier", Plan(importer=IgnorantNic))
"""


TWICE = """
from dataclasses import dataclass

from p2plab.catalog.bench import Plan, scene
from p2plab.core.events import Event, emit
from p2plab.drivers.nic import ObedientNic


@dataclass(frozen=True, slots=True)
class FastPath(Event):
    who: str


class Mine(ObedientNic):
    async def map(self, start, end):
        emit(FastPath(self.name))
        await super().map(start, end)

    async def invalidate_range_start(self, range):
        return 0


SCENE = scene("taken-back-twice", "the GPU takes A back", Plan(pages=1, gpu=("invalidate",)))
"""


def test_a_scene_of_your_own_is_run_and_checked(tmp_path, capsys):
    """FILE.py:NAME in place of a scene's name; its token says what it needs besides itself."""
    file = tmp_path / "scenes.py"
    file.write_text(SCENE)
    assert main(["run", f"{file}:right"]) == 0
    said = capsys.readouterr().out
    assert "two-pages (version 1): two pages and one move" in said
    assert f"token (it needs {file}:right beside itself):" in said
    assert main(["check", f"{file}:right"]) == 0
    assert "two-pages HOLDS in every order" in capsys.readouterr().out
    assert main(["check", f"{file}:wrong", "--no-shrink"]) == 1
    assert "beside itself" in capsys.readouterr().out


def test_the_test_to_paste_loads_a_scene_of_your_own_from_its_file(tmp_path, capsys, monkeypatch):
    """Beside the file it fails as long as the promise breaks; an event of the file's own can be what must be reached."""
    (tmp_path / "own_twice.py").write_text(TWICE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    command = ["check", "own_twice.py:SCENE", "--importer", "own_twice.py:Mine", "--no-shrink"]
    assert main([*command, "--must-reach", "Nothing"]) == 2
    assert "no kind of event 'Nothing'" in capsys.readouterr().err
    assert main([*command, "--must-reach", "FastPath"]) == 1
    said = capsys.readouterr().out
    test = said[said.index("from own_twice import SCENE") :]
    assert "find(" not in test
    (tmp_path / "pasted_twice.py").write_text(test)
    pasted = importlib.import_module("pasted_twice")
    (function,) = (value for name, value in vars(pasted).items() if name.startswith("test_"))
    with pytest.raises(AssertionError):
        function()


def test_what_a_file_does_not_have_is_said(tmp_path, capsys):
    """No such name; a class where one run is asked for."""
    file = tmp_path / "scenes.py"
    file.write_text(SCENE)
    assert main(["run", f"{file}:nothing"]) == 2
    assert "has no class or scene nothing" in capsys.readouterr().err
    assert main(["run", f"{file}:IgnorantNic"]) == 2
    assert "is a class" in capsys.readouterr().err


def test_not_decided_says_what_to_try(capsys):
    """The bound that holds, the cell that grows, the actor with most places, and what to do."""
    assert main(["check", "defrag-obedient", "--states", "300"]) == 3
    said = " ".join(capsys.readouterr().out.split())
    assert "NOT DECIDED, there are more than 300 states" in said
    assert "most values: " in said
    assert "most places: " in said
    assert "to try: a smaller scene (pages=1" in said
