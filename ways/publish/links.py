"""All links to a published copy: ``python -m ways.publish.links gh/OWNER/REPO`` (or ``make links REPO=…``).

Where the repository is published decides every link, so this is the only place that knows how they look. They are pinned to a
release tag: a link in a mail then shows in ten years what it showed when it was sent.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from p2plab import __version__

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
APP = "app.ipynb"
BINDER = "https://mybinder.org"

#: ``gh/OWNER/REPO``, ``gl/OWNER/REPO`` or ``git/ADDRESS``, as Binder names them.
REPOSITORY = re.compile(r"(gh|gl)/[\w.-]+(/[\w.-]+)+|git/https://\S+")
#: A release, so no branch: v1.2.3, with what may follow.
TAG = re.compile(r"v?\d+(\.\d+)+[\w.+-]*")


@dataclass(frozen=True)
class Place:
    """Where a copy is published. ValueError says what is wrong.

    ``hub`` is a class's JupyterHub, if there is one, and ``branch`` what its links follow: nbgitpuller clones a tag too,
    but when the same link is followed once more it looks for a branch.
    """

    repository: str
    tag: str = f"v{__version__}"
    binder: str = BINDER
    hub: str = ""
    branch: str = "class"

    def __post_init__(self) -> None:
        if not REPOSITORY.fullmatch(self.repository):
            raise ValueError(f"{self.repository!r} is no repository: say gh/OWNER/REPO, gl/OWNER/REPO or git/https://…")
        if not TAG.fullmatch(self.tag):
            raise ValueError(
                f"{self.tag!r} is no release tag (such as v{__version__}): a link to a branch changes its meaning"
            )
        if not re.fullmatch(r"\w[\w./-]*", self.branch):
            raise ValueError(f"{self.branch!r} is no branch's name")
        for address in (self.binder, self.hub):
            if address and not re.fullmatch(r"https?://[\w.:/~-]+", address):
                raise ValueError(f"{address!r} is no address: say https://…")

    def on_binder(self, path: str) -> str:
        """A Binder link that opens a path of the server there, its query included."""
        kind, _, rest = self.repository.partition("/")
        where = quote(rest, safe="") if kind == "git" else rest
        return f"{self.binder.rstrip('/')}/v2/{kind}/{where}/{quote(self.tag, safe='')}?urlpath={quote(path, safe='')}"

    def notebook(self, name: str) -> str:
        """A notebook in JupyterLab; nothing runs before its reader presses Shift+Enter."""
        return self.on_binder(f"lab/tree/notebooks/{name}")

    def app(self, token: str = "") -> str:
        """The lab as a page of its own, at a run if given. ``run=``, because Binder uses ``token=`` for its own login."""
        return self.on_binder(f"voila/render/notebooks/{APP}" + (f"?run={quote(token, safe='')}" if token else ""))

    def on_hub(self, name: str) -> str:
        """A link for a class: nbgitpuller brings the branch into the student's home, JupyterLab opens the notebook."""
        address = self.git_address()
        folder = address.rstrip("/").split("/")[-1].removesuffix(".git")
        wanted = {"repo": address, "branch": self.branch, "urlpath": f"lab/tree/{folder}/notebooks/{name}"}
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in wanted.items())
        return f"{self.hub.rstrip('/')}/hub/user-redirect/git-pull?{query}"

    def file(self, path: str, raw: bool = False) -> str:
        """A file of the release; ``raw``: its bytes, for a picture. Elsewhere than on GitHub and GitLab only its repository."""
        kind, _, rest = self.repository.partition("/")
        tag = quote(self.tag, safe="")
        if kind == "gh":
            host = "https://raw.githubusercontent.com" if raw else "https://github.com"
            return f"{host}/{rest}/{tag}/{path}" if raw else f"{host}/{rest}/blob/{tag}/{path}"
        if kind == "gl":
            return f"https://gitlab.com/{rest}/-/{'raw' if raw else 'blob'}/{tag}/{path}"
        return self.git_address()

    def git_address(self) -> str:
        """The address to clone."""
        kind, _, rest = self.repository.partition("/")
        return {"gh": f"https://github.com/{rest}", "gl": f"https://gitlab.com/{rest}"}.get(kind, rest)


def titles() -> dict[str, str]:
    """The first heading of each notebook of the course, by file name."""
    found = {}
    for file in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
        first = "".join(json.loads(file.read_text(encoding="utf-8"))["cells"][0]["source"])
        found[file.name] = first.partition("\n")[0].lstrip("# ")
    return found


def markdown(place: Place) -> Iterator[str]:
    """All links as lines of Markdown, the badge first."""
    yield f"[![Binder]({place.binder.rstrip('/')}/badge_logo.svg)]({place.notebook(next(iter(titles())))})"
    yield ""
    yield f"- [The lab alone, without a notebook]({place.app()}) (with a run: {place.app('TOKEN')})"
    yield from (f"- [{title}]({place.notebook(name)})" for name, title in titles().items())
    yield f"\nA package that names this repository: `make dist REPO={place.repository}`."
    if place.hub:
        yield f"\nFor the class at {place.hub}, from the branch {place.branch!r}:\n"
        yield from (f"- [{title}]({place.on_hub(name)})" for name, title in titles().items())


def main(argv: Sequence[str] | None = None) -> int:
    """Print the links; exit 2 where the place is none."""
    options = argparse.ArgumentParser(prog="links", description=__doc__)
    options.add_argument("repository", help="gh/OWNER/REPO, gl/OWNER/REPO or git/https://…")
    options.add_argument("--tag", default=f"v{__version__}", help=f"the release (default v{__version__})")
    options.add_argument("--binder", default=BINDER, help=f"a BinderHub (default {BINDER})")
    options.add_argument("--hub", default="", help="a class's JupyterHub, for links with nbgitpuller")
    options.add_argument("--branch", default="class", help="the branch that these links follow (default class)")
    given = options.parse_args(argv)
    try:
        place = Place(given.repository, given.tag, given.binder, given.hub, given.branch)
    except ValueError as error:
        print(f"links: {error}", file=sys.stderr)
        return 2
    print("\n".join(markdown(place)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
