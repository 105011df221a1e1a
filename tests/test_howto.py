"""The pages that say how to do something, followed literally: files written, commands typed, lines found in what is printed."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.publish.test_wheel import built

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)


def blocks(page: str, section: str) -> list[tuple[str, str]]:
    """The code of a page's section, with its language."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.M)
    return BLOCK.findall(dict(zip(parts[1::2], parts[2::2], strict=True))[section])


def typed(console: str) -> list[tuple[str, list[str]]]:
    """Each command of a block, and the lines below it."""
    found: list[tuple[str, list[str]]] = []
    for line in console.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def follow(page: str, section: str, folder: Path, before: str = "", **environment: str) -> None:
    """Do what a section says, in a folder that has the examples in it."""
    (folder / "examples").symlink_to(ROOT / "examples")
    env = {**os.environ, "P2PLAB_JOURNAL": "", "NO_COLOR": "1", **environment}
    script = before
    for language, text in blocks(page, section):
        if language == "python":
            (folder / text.partition("\n")[0].removeprefix("# ")).write_text(text)
        elif language == "console":
            for command, wanted in typed(text):
                script += f"{command}\n"
                done = subprocess.run(
                    ["bash", "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=False
                )
                said = re.sub(r"\s+", " ", done.stdout + done.stderr)
                assert "Traceback" not in said
                for line in wanted:
                    assert line in said, f"{command}: {said[-1500:]}"
                if not re.match(r"\.|export|cd ", command):  # done once; what sets up the shell is done before each
                    script = script.removesuffix(f"{command}\n")


@pytest.mark.parametrize("section", ["My machine in a scene", "A driver", "A scene", "A rule", "A design"])
def test_a_how_to_does_what_it_says(section: str, tmp_path: Path):
    """As a person would who copies it line by line."""
    program = f'p2plab() {{ "{sys.executable}" -m p2plab "$@"; }}\n'
    follow("howto.md", section, tmp_path, program, PYTHONPATH=str(ROOT))


def test_the_terminal_is_installed_as_the_page_says(tmp_path: Path):
    """pip finds the wheel in a folder in place of an index, and needs nothing else."""
    wheel, _ = built(tmp_path / "dist")
    follow(
        "install.md", "The terminal", tmp_path, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheel.parent), PYTHONPATH="",
        PIP_CONFIG_FILE=os.devnull, PIP_DISABLE_PIP_VERSION_CHECK="1",
    )  # fmt: skip


def test_the_examples_of_the_public_names_are_true():
    """docs/reference.md, as a doctest."""
    failed, tried = doctest.testfile(str(ROOT / "docs" / "reference.md"), module_relative=False)
    assert (failed, tried > 20) == (0, True)
