"""The course's pages: commands that work, tables that agree with what there is, a handout that the model wrote."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from p2plab.catalog import CASES
from p2plab.course import EXERCISES
from p2plab.course.handout import handout
from p2plab.course.solutions import RIGHT, WRONG

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / f"{name}.md" for name in ("course", "instructor", "reviewer", "handout")]
COMMANDS = re.findall(r"^\$ p2plab (.+)$", (ROOT / "docs" / "reviewer.md").read_text(), re.M)


def test_the_handout_is_what_the_model_says_and_one_page():
    """Written by p2plab.course.handout; the file is kept for those who only read."""
    text = (ROOT / "docs" / "handout.md").read_text()
    assert text == handout()
    assert len(text.splitlines()) < 60


@pytest.mark.parametrize("command", [line for line in COMMANDS if "machine.txt" not in line])
def test_a_command_of_the_reviewers_page_works(command):
    """It ends with a verdict, good or bad, and says nothing on stderr."""
    words = [sys.executable, "-m", "p2plab", *shlex.split(command)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode in (0, 1)
    assert done.stderr == ""
    assert done.stdout


def test_what_the_reviewers_page_says_of_the_scenes():
    """58 of them; and the one in the mail: twelve steps, two switches."""
    assert len(CASES) == 58
    words = [sys.executable, "-m", "p2plab", "check", "E3"]
    said = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT).stdout
    assert "BREAKS no-map-while-moving: 2 switches, 12 steps" in " ".join(said.split())


def test_the_index_names_every_notebook_and_exercise():
    """With its minutes."""
    text = (ROOT / "docs" / "course.md").read_text()
    numbers = set(re.findall(r"^\| (\d\d) ", text, re.M))
    assert numbers == {path.name[:2] for path in (ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb")}
    assert set(re.findall(r"^\| `([\w-]+)` \| \d+ \|", text, re.M)) == set(EXERCISES) == set(RIGHT)
    assert {wrong.exercise for wrong in WRONG} == set(EXERCISES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_lead_somewhere(page):
    """To files of this project."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target
