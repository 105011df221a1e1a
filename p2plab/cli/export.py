"""``p2plab export SCENE|TOKEN``: a run as a page that steps through it, as text, a trace, a test or its log."""

from __future__ import annotations

import argparse
from pathlib import Path

from p2plab.cli.frame import number, print_json, typed, write
from p2plab.cli.progress import ProgressLine
from p2plab.cli.run import PASTED, order_options, run_of
from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.core.token import MARK, open_token, token_in
from p2plab.everything import SCENES, find
from p2plab.views.formats import FORMATS


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("export", help="write a run to files, to show it or to keep it")
    command.add_argument(
        "scene",
        metavar="SCENE|TOKEN",
        help="a scene's name, a token, '-' for the token in the text on standard input, or 'all': every story in one page",
    )
    order_options(command)
    for name, form in FORMATS.items():
        command.add_argument(f"--{name}", type=Path, metavar="FILE", help=form.help)
    command.add_argument(
        "--link", metavar="PAGE", help="print the address that opens the run in PAGE, a page that holds all stories"
    )
    command.add_argument(
        "--step", type=number, metavar="N", help="the step at which --link opens it (default: the last)"
    )
    command.add_argument("--json", action="store_true", help="print what was written as one JSON object")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 once everything is written, whether or not a rule broke."""
    wanted = {name: path for name in FORMATS if (path := getattr(arguments, name)) is not None}
    if not wanted and arguments.link is None:
        raise BadInput(f"name a file to write: {', '.join(f'--{name} FILE' for name in FORMATS)}, or --link PAGE")
    if arguments.step is not None and arguments.link is None:
        raise BadInput("--step is the step at which --link opens the run")
    if arguments.scene == "all":
        return _all(arguments, wanted)
    exported = _run(arguments)
    if arguments.step is not None and not 0 <= arguments.step <= len(exported):
        raise BadInput(f"--step {arguments.step}: the run has steps 0 to {len(exported)}")
    said = _Said(arguments.json, {"steps": len(exported)})
    link = None
    if arguments.link is not None:  # before any file: what does not fit into a link changes nothing
        from p2plab.views.links import fragment

        link = f"{arguments.link.partition('#')[0]}{fragment(exported, arguments.step)}"
    for name, path in wanted.items():
        said.wrote(name, path, FORMATS[name].write(exported), f"{len(exported)} steps")
    said.end(link)
    return 0


def _all(arguments: argparse.Namespace, wanted: dict[str, Path]) -> int:
    """The page of every story."""
    if wanted.keys() != {"html"} or arguments.link is not None or _ordered(arguments):
        raise BadInput("'all' is written as one page: p2plab export all --html FILE")
    from p2plab.course.story_links import beats_json, beats_list
    from p2plab.views.links import stories_page

    progress = ProgressLine()
    said = _Said(arguments.json, {"stories": len(SCENES)})
    page = stories_page(below=beats_list(), progress=progress.count, told_in_beats=beats_json())
    said.wrote("html", wanted["html"], page, f"{len(SCENES)} stories")
    progress.end()
    said.end(None)
    return 0


class _Said:
    """Writes files and reports each: on a line, or in one JSON object at the end."""

    def __init__(self, as_json: bool, more: dict[str, int]) -> None:
        self.as_json, self.more = as_json, more
        self.files: list[dict[str, object]] = []

    def wrote(self, name: str, path: Path, text: str, what: str) -> None:
        write(path, text)
        size = len(text.encode())
        self.files.append({"format": name, "file": str(path), "bytes": size})
        if not self.as_json:
            print(f"{path}: {size / 1000:,.0f} kB, {what}")

    def end(self, link: str | None) -> None:
        if self.as_json:
            print_json("export", {"files": self.files, "link": link, **self.more})
        elif link is not None:
            print(link)


def _ordered(arguments: argparse.Namespace) -> bool:
    return bool(arguments.knob or arguments.timed or (arguments.seed, arguments.schedule) != (None, None))


def _run(arguments: argparse.Namespace) -> Run:
    text = token_in(typed(PASTED)) if arguments.scene == "-" else arguments.scene
    if not text.lstrip().startswith(f"{MARK}."):
        return run_of(arguments)
    if _ordered(arguments):
        raise BadInput("a token fixes the whole run: give a scene's name to set knobs or another order")
    return open_token(text, find)
