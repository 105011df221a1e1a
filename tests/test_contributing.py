"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the checkout."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
#: name -> (how many files it says, its text)
RECIPES = {
    name: (int(count), body)
    for name, count, body in re.findall(r"^### A[n]? ([^\n(]+) \((\d+) files?\)\n(.*?)(?=^### |\Z)", TEXT, re.M | re.S)
}
FILE = re.compile(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", re.M | re.S)
DIFF = re.compile(r"^```diff\n(.*?)^```$", re.M | re.S)
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the recipes touch; each of them takes back what it did."""
    copy = tmp_path_factory.mktemp("checkout")
    for part in ("p2plab", "assets/recordings"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def test_there_are_eight_recipes():
    """One for each thing that people add; six of them need one file."""
    assert {name: count for name, (count, _) in RECIPES.items()} == {
        "driver": 1,
        "rule": 1,
        "system call": 3,
        "design": 1,
        "picture": 1,
        "command": 1,
        "recording of another kernel": 3,
        "scene": 1,
    }


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_works_as_it_is_written(name: str, checkout: Path):
    """Its files are written and its diffs applied, as many as it says; then its commands print what it shows."""
    count, body = RECIPES[name]
    before: dict[Path, str | None] = {}
    for path, text in FILE.findall(body):
        assert not (checkout / path).exists()
        before[checkout / path] = None
        (checkout / path).write_text(text, encoding="utf-8")
    for diff in DIFF.findall(body):
        patch(checkout, diff, before)
    assert len(before) == count
    try:
        for commands in CONSOLE.findall(body):
            follow(checkout, commands)
    finally:
        for path, text in before.items():
            path.unlink() if text is None else path.write_text(text, encoding="utf-8")


def patch(checkout: Path, diff: str, before: dict[Path, str | None]) -> None:
    """Each hunk replaces its one old line, which must be in the file exactly once."""
    for part in re.split(r"^--- a/", diff, flags=re.M)[1:]:
        path = checkout / part.partition("\n")[0]
        text = path.read_text(encoding="utf-8")
        before[path] = text
        for hunk in re.split(r"^@@.*\n", part, flags=re.M)[1:]:
            (old,) = (line[1:] for line in hunk.splitlines() if line.startswith("-"))
            new = [line[1:] for line in hunk.splitlines() if line.startswith("+")]
            assert text.count(f"\n{old}\n") == 1, f"{path.name}: {old!r}"
            text = text.replace(f"\n{old}\n", "\n" + "\n".join(new) + "\n")
        path.write_text(text, encoding="utf-8")


def follow(checkout: Path, session: str) -> None:
    """Every line below a command is part of what it prints."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "COLUMNS": "100"}
    for block in re.split(r"^\$ ", session, flags=re.M)[1:]:
        command, *lines = block.splitlines()
        run = re.sub(r"^p2plab\b", "python -m p2plab", command)
        run = re.sub(r"^python\b", sys.executable, run)
        done = subprocess.run(
            run, shell=True, cwd=checkout, env=environment, capture_output=True, text=True, check=False
        )
        for line in lines:
            assert line in done.stdout, f"$ {command}\n{done.stdout}{done.stderr}"
