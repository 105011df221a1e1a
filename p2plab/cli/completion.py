"""``p2plab completion SHELL``: a script for bash, zsh or fish that asks p2plab what may come next."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping

from p2plab.core.errors import P2PError

_BASH = """# p2plab in bash: put this into ~/.bashrc:  source <(p2plab completion bash)
_p2plab() {
  local IFS=$'\\n'
  COMPREPLY=($(p2plab completion words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -o bashdefault -F _p2plab p2plab
"""
_ZSH = """#compdef p2plab
# p2plab in zsh: put this into ~/.zshrc, after compinit:  source <(p2plab completion zsh)
_p2plab() {
  local -a found
  found=("${(@f)$(p2plab completion words "${(@)words[2,$CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -- $found; else _files; fi
}
compdef _p2plab p2plab
"""
_FISH = """# p2plab in fish:  p2plab completion fish > ~/.config/fish/completions/p2plab.fish
complete -c p2plab -a '(p2plab completion words (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
"""
SHELLS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
#: What a shell's script asks for: candidates for the last word.
WORDS = "words"


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser(
        "completion", help="a script that completes commands, options and names in your shell"
    )
    command.add_argument(
        "shell", metavar="|".join(SHELLS), choices=(*SHELLS, WORDS), help="print the script of this shell"
    )
    command.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Always exits 0."""
    if arguments.shell == WORDS:
        print("\n".join(candidates(arguments.words or [""])))
    else:
        print(SHELLS[arguments.shell], end="")
    return 0


def candidates(words: list[str]) -> list[str]:
    """Candidates for the last word, after the others; none where a file's name belongs."""
    from p2plab.cli import commands_of, parser

    *before, current = words
    if not before:
        return _begin([*commands_of(parser()), "--help", "--version"], current)
    declared = commands_of(parser(before[0]))
    if before[0] not in declared:
        return []
    actions = declared[before[0]]._actions
    option = next((action for action in actions if before[-1] in action.option_strings and action.nargs != 0), None)
    if option is not None:
        return _begin(_values(option, before), current)
    if current.startswith("-"):
        return _begin((text for action in actions for text in action.option_strings), current)
    places = [action for action in actions if not action.option_strings]
    given = [word for word in before[1:] if not word.startswith("-")]
    place = places[min(len(given), len(places) - 1)] if places else None
    return _begin(_values(place, before), current) if place is not None else []


def _begin(texts: Iterable[str], current: str) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text.startswith(current)]


def _values(action: argparse.Action, before: list[str]) -> Iterable[str]:
    """The values of an argument, if they are a list of names."""
    if action.choices is not None:
        return [str(choice) for choice in action.choices if choice != WORDS]
    try:
        names = VALUES.get(action.dest)
        return () if names is None else names(before)
    except P2PError:  # half a command line names nothing yet
        return ()


def _scenes(before: list[str]) -> Iterable[str]:
    from p2plab.everything import CASES, SCENES

    return list(CASES) if before[0] == "catalog" else [*SCENES, *CASES]


def _machines(_before: list[str]) -> Iterable[str]:
    from p2plab.core.places import recorded_machines

    return recorded_machines()


def _knobs(before: list[str]) -> Iterable[str]:
    from p2plab.everything import find

    return [f"{knob.name}={choice}" for knob in find(before[1]).knobs for choice in (knob.choices or (knob.default,))]


def _rules(_before: list[str]) -> Iterable[str]:
    from p2plab.rules import RULES

    return RULES


def _operations(before: list[str]) -> Iterable[str]:
    from p2plab.mm.ask_operations import OPERATIONS
    from p2plab.mm.ask_specimen import KINDS

    return ["all", *OPERATIONS] if len(before) < 2 else KINDS


def _recordings(before: list[str]) -> Iterable[str]:
    from p2plab.core.places import recordings

    return recordings({"mm": "mmu"}.get(before[1], before[1]))


def _kernels(_before: list[str]) -> Iterable[str]:
    from p2plab.core.kernels import NAMES

    return NAMES


def _roles(_before: list[str]) -> Iterable[str]:
    from p2plab.everything import SCENES

    return {kind for scene in SCENES.values() for name, role in scene.roles.items() for kind in (name, *role.bases)}


#: Values by the name of an argument.
VALUES: Mapping[str, Callable[[list[str]], Iterable[str]]] = {
    "scene": _scenes,
    "source": _machines,
    "machine": _machines,
    "knob": _knobs,
    "rule": _rules,
    "operation": _operations,
    "kind": _operations,
    "files": _recordings,
    "kernel": _kernels,
    "takes": _roles,
}
