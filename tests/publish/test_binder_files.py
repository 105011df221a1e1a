"""What repo2docker will find in the tree; `make binder` asks repo2docker itself."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ways.publish.binder import environment_packages, tree

ROOT = Path(__file__).parents[2]

#: Files and folders that repo2docker would take instead of environment.yml, or beside it.
OTHERS = ("binder", ".binder", "Dockerfile", "default.nix", "install.R", "Project.toml", "JuliaProject.toml", "REQUIRE")
BESIDE = ("apt.txt", "start", "runtime.txt", "requirements.txt", "Pipfile")


def test_environment_yml_alone_decides():
    """Nothing in the tree comes before it."""
    assert [name for name in OTHERS + BESIDE if (ROOT / name).exists()] == []


def test_python_is_named_in_the_form_that_repo2docker_reads():
    """It looks for one = and a number; any other form gives its own default, which would be replaced afterwards."""
    text = (ROOT / "environment.yml").read_text()
    assert re.findall(r"^  - python\s*=+\s*([\d.]+)$", text, re.MULTILINE) == [environment_packages()[0]] == ["3.11"]


def test_the_environment_does_not_depend_on_the_code():
    """No pip section, no path: a change of code rebuilds the last layers only."""
    text = (ROOT / "environment.yml").read_text()
    assert "pip:" not in text
    assert all(re.fullmatch(r"[a-z]+[<>=\d.,]+", package) for package in environment_packages()[1])


def test_post_build_can_be_run_and_installs_the_app_s_page():
    """repo2docker runs it as a program."""
    file = ROOT / "postBuild"
    assert os.access(file, os.X_OK)
    text = file.read_text()
    assert "--no-deps" in text
    named = re.findall(r"(?<=\s)ways/share/jupyter/\S+", text)
    assert sorted(named) == ["ways/share/jupyter/config/.", "ways/share/jupyter/voila"]
    assert all((ROOT / name).exists() for name in named)
    assert (ROOT / "ways/share/jupyter/config/voila.json").is_file()


def test_the_image_s_tree_has_the_notebooks_and_none_of_the_tools(tmp_path):
    """What git knows, and so no environment and no cache."""
    made = tree(tmp_path)
    assert (made / "notebooks" / "app.ipynb").is_file()
    assert (made / "assets" / "recordings").is_dir()
    assert not (made / ".venv").exists()
