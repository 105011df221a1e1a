"""Scenes of your own: a few lines in a file, run and checked by the same commands."""

from p2plab.cli import main

SCENE = """
from p2plab.catalog.bench import Plan, scene
from p2plab.catalog.ignorant import IgnorantNic

right = scene("two-pages", "two pages and one move", Plan(pages=2))
wrong = scene("ignored", "a NIC that ignores the notifier", Plan(importer=IgnorantNic))
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
