"""What the build adds to pyproject.toml: the addresses of a published copy, and the course inside the wheel.

Where the repository is published is not known to it. ``make dist REPO=gh/OWNER/REPO`` says it to the build in the variable
``P2PLAB_REPOSITORY``; without it the package names no address, and README's links to files become plain words.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

REPOSITORY = "P2PLAB_REPOSITORY"
#: A link or a picture of README.md that leads to a file of the project.
_RELATIVE = re.compile(r"(!?)\[((?:[^\]\[]|\[[^\]]*\])*)\]\((?![a-z]+:|#)([^)\s]+)\)")


class Metadata(MetadataHookInterface):
    """Fills ``urls`` and ``readme``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """As hatchling asks for it. ValueError where the repository is none."""
        root = Path(self.root)
        sys.path.insert(0, self.root)
        try:
            from ways.publish.links import Place
        finally:
            sys.path.remove(self.root)
        named = os.environ.get(REPOSITORY, "")
        place = Place(named) if named else None
        text = (root / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": readme(text, place)}
        metadata["urls"] = {} if place is None else urls(place)


class Course(BuildHookInterface[Any]):
    """Puts the notebooks, and the documents and examples that they lead to, into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """As hatchling asks for it; an editable wheel finds them where they are."""
        if version == "editable":
            return
        root = Path(self.root)
        sys.path.insert(0, self.root)
        try:
            from p2plab.core.places import course_in
        finally:
            sys.path.remove(self.root)
        for name, file in course_in(root).items():
            build_data["force_include"][str(file)] = f"p2plab/assets/course/{name}"


def urls(place: Any) -> dict[str, str]:
    """The addresses that an index shows."""
    home = place.git_address().removesuffix(".git")
    return {
        "Homepage": home,
        "Documentation": place.file("docs/course.md"),
        "Source": home,
        "Issues": f"{home}/issues",
        "Changelog": place.file("CHANGES.md"),
        "Binder": place.notebook("00-start-here.ipynb"),
    }


def readme(text: str, place: Any) -> str:
    """README.md for a page that is not in the repository: absolute links, or none."""

    def link(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        if place is None:
            return "" if picture else words
        return f"{picture}[{words}]({place.file(target, raw=bool(picture))})"

    return re.sub(r"\n{3,}", "\n\n", _RELATIVE.sub(link, text))
