"""``p2plab quiz``: a story cut off before its break; name the driver, the promise, and the owner of the damaged bytes."""

from __future__ import annotations

import argparse
import datetime
import sys
import textwrap

from p2plab.cli.frame import number, print_json
from p2plab.core.errors import BadInput
from p2plab.course.quiz import Quiz, quiz

WIDTH = 72


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    command = commands.add_parser(
        "quiz", help="a run a day: who breaks which promise next, and whose bytes that damages"
    )
    command.add_argument("--seed", type=number, metavar="N", help="another quiz than today's")
    shown = command.add_mutually_exclusive_group()
    shown.add_argument(
        "--answer",
        metavar="A,B,C",
        help="the three answers, by their letters or as words, instead of being asked",
    )
    shown.add_argument("--reveal", action="store_true", help="print what happened, without asking")
    command.add_argument("--json", action="store_true", help="print one JSON object; with --reveal the answers too")
    command.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit 0 for any answer; 2 for one that is no choice."""
    asked = quiz(datetime.date.today().toordinal() if arguments.seed is None else arguments.seed)
    if arguments.json:
        if arguments.answer:
            raise BadInput("--json asks nobody: leave --answer out")
        print_json("quiz", as_json(asked, arguments.reveal))
        return 0
    given = None if arguments.answer is None else _given(asked, arguments.answer)
    print("\n".join([f"quiz {asked.seed}: the story so far", "", *asked.story]))
    if arguments.reveal:
        print("\n".join(["", *_ended(asked)]))
        return 0
    if given is not None:
        print("\n".join(["", *_told(asked, given)]))
    elif sys.stdin.isatty() and sys.stdout.isatty():
        print("\n".join(["", *_told(asked, tuple(_ask(asked, at) for at in range(len(asked.parts))))]))
    else:
        print("\n".join(["", *(line for at in range(len(asked.parts)) for line in _question(asked, at))]))
        print(f"answer: p2plab quiz --seed {asked.seed} --answer a,a,a; what happened: --reveal")
    return 0


def as_json(asked: Quiz, reveal: bool) -> dict[str, object]:
    """The quiz as a JSON object; ``right``, ``why`` and the token, which names the scene, only to reveal."""
    parts: list[dict[str, object]] = [
        {"asks": part.asks, "choices": list(part.choices), **({"right": part.right} if reveal else {})}
        for part in asked.parts
    ]
    said: dict[str, object] = {"seed": asked.seed, "story": list(asked.story), "questions": parts}
    return {**said, "why": list(asked.why), "token": asked.token} if reveal else said


def _question(asked: Quiz, at: int) -> list[str]:
    part = asked.parts[at]
    return [f"{at + 1}. {part.asks}", *(f"   {_letter(n)}) {choice}" for n, choice in enumerate(part.choices)), ""]


def _ask(asked: Quiz, at: int) -> str:
    print("\n".join(["", *_question(asked, at)]))
    while True:
        try:
            return _choice(asked, at, input("   > "))
        except BadInput as error:
            print(f"   {error}")
        except EOFError:
            raise BadInput(f"no answer: --reveal says what happened, --seed {asked.seed} asks again") from None


def _given(asked: Quiz, text: str) -> tuple[str, ...]:
    words = text.split(",")
    if len(words) != len(asked.parts):
        raise BadInput(f"--answer {text[:40]!r}: {len(asked.parts)} answers with commas between them, such as a,b,a")
    return tuple(_choice(asked, at, word) for at, word in enumerate(words))


def _choice(asked: Quiz, at: int, word: str) -> str:
    """A letter, or the words of a choice."""
    choices, word = asked.parts[at].choices, word.strip()
    by_letter = {_letter(n): choice for n, choice in enumerate(choices)}
    if word in choices:
        return word
    if word.lower() not in by_letter:
        raise BadInput(f"{word[:40]!r}: a letter from a to {_letter(len(choices) - 1)}, or one of {', '.join(choices)}")
    return by_letter[word.lower()]


def _letter(number: int) -> str:
    return chr(ord("a") + number)


def _told(asked: Quiz, answers: tuple[str, ...]) -> list[str]:
    said = [
        f"{at + 1}. {'right' if answer == part.right else 'not quite'}: {part.right}"
        for at, (part, answer) in enumerate(zip(asked.parts, answers, strict=True))
    ]
    return [*said, f"{asked.points(answers)} of {len(answers)}", "", *_ended(asked)]


def _ended(asked: Quiz) -> list[str]:
    lines = [line for text in asked.why for line in textwrap.wrap(text, WIDTH, subsequent_indent="  ")]
    return [*lines, "", f"the story so far, to go on from: p2plab replay {asked.token}"]
