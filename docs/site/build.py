"""Build the site: ``python docs/site/build.py [OUT]``. Sources are put together in ``build/site``; any warning is an error."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nbformat
from sphinx.cmd.build import main as sphinx

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(ROOT))

from api import pages  # noqa: E402  the folder is no package

from notebooks import for_readers  # noqa: E402
from p2plab.course.slides import write_slides  # noqa: E402
from p2plab.course.story_links import beats_json, beats_list  # noqa: E402
from p2plab.views.links import stories_page  # noqa: E402

WORK = ROOT / "build" / "site"


def assemble(source: Path) -> None:
    """All that is shown, under the names by which the files link to each other."""
    shutil.rmtree(source, ignore_errors=True)
    for folder in ("docs", "notebooks", "api"):
        (source / folder).mkdir(parents=True)
    pages_of_docs = sorted((ROOT / "docs").glob("*.md"))
    index = (HERE / "index.md").read_text(encoding="utf-8")
    others = [f"docs/{page.stem}" for page in pages_of_docs if f"docs/{page.stem}\n" not in index]
    (source / "index.md").write_text(index.replace("@OTHERS@", "\n".join(others)), encoding="utf-8")
    for name in ("DESIGN.md", "CHANGES.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, source)
    for page in pages_of_docs:
        shutil.copy(page, source / "docs")
    told = source / "docs" / "stories.md"
    beats = re.sub(r"`(#story=\d\d/\d+)`", r'<a href="../stories.html\1">play it</a>', told.read_text(encoding="utf-8"))
    told.write_text(beats, encoding="utf-8")
    shutil.copytree(
        ROOT / "assets" / "pictures", source / "assets" / "pictures", ignore=shutil.ignore_patterns("notebooks")
    )
    for name, text in pages().items():
        (source / "api" / name).write_text(text, encoding="utf-8")
    files = sorted((ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb"))
    with ProcessPoolExecutor(min(4, os.cpu_count() or 1)) as several:
        for file, notebook in zip(
            files, several.map(for_readers, files, [WORK / "executed"] * len(files)), strict=True
        ):
            nbformat.write(notebook, source / "notebooks" / file.name)
    _beside(WORK / "beside")


def _beside(folder: Path) -> None:
    """What the site holds besides its pages: the runs of the notebooks' explorers, their pictures, every story in one page."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(WORK / "executed" / "runs", folder / "runs")
    shutil.copytree(ROOT / "assets" / "pictures" / "notebooks", folder / "pictures")
    (folder / "stories.html").write_text(stories_page(below=beats_list(), told_in_beats=beats_json()), encoding="utf-8")
    write_slides(folder / "slides.html")


def made_of() -> str:
    """A digest of all that the site is made of."""
    digest = hashlib.sha256()
    for folder in ("docs", "notebooks", "p2plab", "assets/pictures"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(ROOT)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    for name in ("DESIGN.md", "CHANGES.md", "CONTRIBUTING.md"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def main(arguments: list[str]) -> int:
    """0, or Sphinx's exit status. A site that is there and made of the same is left as it is."""
    out = Path(arguments[0]) if arguments else ROOT / "build" / "site" / "html"
    stamp, digest = out / ".made-of", made_of()
    if stamp.is_file() and stamp.read_text() == digest:
        print(f"the site is in {out / 'index.html'}, as it was")
        return 0
    if stamp.is_file():  # a page that is no more must not stay; a folder that is not ours is left as it is
        shutil.rmtree(out)
    assemble(WORK / "source")
    options = ["-W", "--keep-going", "-q", "-b", "html", "-j", str(min(4, os.cpu_count() or 1))]
    status: int = sphinx([*options, "-c", str(HERE), "-d", str(WORK / "doctrees"), str(WORK / "source"), str(out)])
    if status == 0:
        stamp.write_text(digest)
        print(f"the site is in {out / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
