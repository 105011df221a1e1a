"""``p2plab scenes``: what can be run."""

from __future__ import annotations

import argparse
import textwrap

from p2plab.catalog.played import PLAYED
from p2plab.catalog.verdict import verdict
from p2plab.cli.frame import print_json
from p2plab.cli.progress import counted
from p2plab.core.errors import BadInput
from p2plab.core.names import unknown
from p2plab.everything import CASES, SCENES, find


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser("scenes", help="list the scenes, with what each of them shows")
    command.add_argument(
        "scene", nargs="*", metavar="SCENE", help="a name or a code, with all its knobs; without any, all"
    )
    command.add_argument(
        "--takes",
        metavar="ROLE",
        help="only scenes that take a class of yours: importer, exporter, 'dma-buf importer', …",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Exits 0; 2 if no scene has the given role."""
    scenes = [find(name) for name in arguments.scene] or list(SCENES.values())
    if arguments.takes is not None:
        known = {kind: None for scene in scenes for name, role in scene.roles.items() for kind in (name, *role.bases)}
        if arguments.takes not in known:
            raise BadInput(f"no scene takes {arguments.takes[:40]!r}: {unknown('kind', arguments.takes, list(known))}")
        scenes = [scene for scene in scenes if scene.takes(arguments.takes)]
    if arguments.json:
        rows = [
            {
                "name": scene.name,
                "version": scene.version,
                "title": scene.title,
                "about": scene.about,
                "breaks": scene.breaks or None,
                "rules": list(scene.rules),
                "story": scene.story,
                **_case_of(scene.name),
                "knobs": [
                    {
                        "name": k.name,
                        "default": k.default,
                        "help": k.help,
                        "allowed": k.choices or (k.low, k.high),
                    }
                    for k in scene.knobs
                ],
                "roles": {
                    name: {"kinds": list(role.bases), "needs": list(role.needs)} for name, role in scene.roles.items()
                },
            }
            for scene in counted(scenes)
        ]
        print_json("scenes", {"scenes": rows})
        return 0
    for scene in scenes:
        print(f"{scene.name}: {scene.title} ({f'breaks {scene.breaks}' if scene.breaks else 'all rules hold'})")
        print(textwrap.fill(scene.about, 72, initial_indent="  ", subsequent_indent="  "))
        if (code := _code_of(scene.name)) in PLAYED:
            print(textwrap.fill(str(PLAYED[code]), 72, initial_indent="  ", subsequent_indent="  "))
        for k in scene.knobs:
            allowed = " | ".join(k.choices) or f"{k.low} to {k.high}"
            print(f"    {k.name}={k.default}  ({allowed}) {k.help}")
        for name, role in scene.roles.items():
            print(f"    --{name} FILE.py:CLASS  {role.kinds}")
    return 0


def _code_of(name: str) -> str:
    """The code of a case, empty for another scene."""
    return next((code for code, case in CASES.items() if case.scenario.name == name), "")


def _case_of(name: str) -> dict[str, object]:
    """What the catalogue says of a scene: its code, what the learner sees, and the verdict of its story."""
    case = CASES.get(_code_of(name))
    if case is None:
        return {"code": None, "sees": None, "unmodelled": None, "verdict": None, "linux": None}
    result = verdict(case, seeds=0)
    said = {"caught": result.caught, "by": case.rule if result.caught else None, "twin_accused": bool(result.accused)}
    linux = PLAYED[case.code].as_json() if case.code in PLAYED else None
    return {
        "code": case.code,
        "sees": case.sees,
        "unmodelled": case.unmodelled or None,
        "verdict": said,
        "linux": linux,
    }
