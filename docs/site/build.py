"""Build the site: ``python docs/site/build.py [OUT]``. Sources are put together in ``build/site``; any warning is an error."""

from __future__ import annotations

import os
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
    for name in ("DESIGN.md", "CHANGES.md"):
        shutil.copy(ROOT / name, source)
    for page in pages_of_docs:
        shutil.copy(page, source / "docs")
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


def main(arguments: list[str]) -> int:
    """0, or Sphinx's exit status."""
    out = Path(arguments[0]) if arguments else ROOT / "build" / "site" / "html"
    assemble(WORK / "source")
    options = ["-W", "--keep-going", "-q", "-b", "html", "-j", str(min(4, os.cpu_count() or 1))]
    status: int = sphinx([*options, "-c", str(HERE), "-d", str(WORK / "doctrees"), str(WORK / "source"), str(out)])
    if status == 0:
        print(f"the site is in {out / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
