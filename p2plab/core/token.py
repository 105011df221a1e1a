"""A token: a whole run in one line of text, ``p2p1.SCENE~VERSION.KNOBS.SCHEDULE.TRAIL.CHECK``.

SCHEDULE is run-length coded: a lower-case letter is an actor (``a`` the first), a capital an action, a number repeats.
TRAIL holds a few bits of a running digest of the log at four places: they distinguish a run of another version of the
model from the one that was meant, and show roughly where the two diverge. CHECK finds a damaged token.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from p2plab.core.errors import BadInput
from p2plab.core.events import Entry, to_json
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import LONGEST

MARK = "p2p1"
#: In letters. Fits the longest run in the worst case: a switch at every step, some actors of two letters.
LONGEST_TOKEN = 2 * LONGEST + 1_000
#: Where the trail looks at the log, as quarters of the number of steps.
QUARTERS = (1, 2, 3, 4)
_DAMAGED = "the token is damaged: its check does not fit. Was it copied whole, from p2p1 to the last letter?"
_SHAPE = re.compile(
    r"p2p1\.(?P<name>[a-z0-9-]{1,60})~(?P<version>[0-9]{1,6})\.(?P<knobs>[\w=,.-]*)\.(?P<schedule>[A-Za-z0-9]*|-)"
    r"\.(?P<trail>[\w-]{8})\.(?P<check>[a-z2-7]{6})",
    re.ASCII,
)
_CHECK_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz234567")
#: One choice of a coded schedule and how often; the match never backtracks, so that a token of many ``z``
#: takes time linear in its length.
_CHOICE = re.compile(r"(z*+[a-y]|Z*+[A-Y])([0-9]{0,6}+)")


class StaleToken(BadInput):
    """The token was made with another version of the scenario; ``run`` is as much of it as can still be replayed."""

    def __init__(self, sentence: str, run: Run) -> None:
        super().__init__(sentence)
        self.run = run


@dataclass(frozen=True)
class Token:
    """A token's parts. ``schedule`` is still coded: only the scenario's world knows its actors."""

    name: str
    version: int
    knobs: Mapping[str, str]
    schedule: str
    trail: str


def token_of(run: Run) -> str:
    """The run as one line of text."""
    defaults = {knob.name: knob.default for knob in run.scenario.knobs}
    knobs = ",".join(f"{name}={value}" for name, value in run.settings.items() if value != defaults[name]) or "-"
    schedule = _encode(run.schedule, list(run.world.actors), list(run.world.actions)) or "-"
    name = f"{run.scenario.name}~{run.scenario.version}"
    body = ".".join((MARK, name, knobs, schedule, _trail(run.log, len(run))))
    return f"{body}.{_check(body)}"


def parse(text: str) -> Token:
    """Take a token apart; :exc:`BadInput` says what is wrong with it. Nothing is run."""
    whole = len(text)
    text = "".join(text[: 2 * LONGEST_TOKEN].split())  # a mail may have broken the line
    if not text.startswith(f"{MARK}."):
        raise BadInput(f"not a token: {text[:30]!r} does not begin with {MARK}.")
    if len(text) > LONGEST_TOKEN or whole > 2 * LONGEST_TOKEN:
        raise BadInput(f"not a token: {whole} characters, at most {LONGEST_TOKEN} are possible")
    body, _, check = text.rpartition(".")
    match = _SHAPE.fullmatch(text)
    if match is None or _check(body) != check:
        raise BadInput(_DAMAGED)
    pairs = [pair.partition("=") for pair in match["knobs"].split(",")] if match["knobs"] != "-" else []
    knobs = {name: value for name, _, value in pairs}
    return Token(match["name"], int(match["version"]), knobs, match["schedule"].replace("-", ""), match["trail"])


def token_in(text: str) -> str:
    """The token in pasted text: a mail with its quote marks, a story, JSON. :exc:`BadInput` for none, or for several.

    >>> token_in("> no such thing here")
    Traceback (most recent call last):
    ...
    p2plab.core.errors.BadInput: there is no token in the text: none of it begins with p2p1.
    """
    lines = [re.sub(r"^[\s>|]+", "", line).rstrip() for line in text.splitlines()]
    found, begun = dict[str, None](), False
    for number, line in enumerate(lines):
        for start in (match.start() for match in re.finditer(rf"{MARK}\.", line)):
            begun = True
            if (token := _whole(line[start:], lines[number + 1 :])) is not None:
                found[token] = None
    if len(found) > 1:
        raise BadInput(f"there are {len(found)} tokens in the text: give one of them")
    if not found:
        raise BadInput(_DAMAGED if begun else f"there is no token in the text: none of it begins with {MARK}.")
    return next(iter(found))


def _whole(begun: str, following: Sequence[str]) -> str | None:
    """A token that begins here and may continue over further lines; None if it has no end with a matching check."""
    collected = ""
    for line in itertools.chain((begun,), following):
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        collected += word
        end = len(
            collected
        )  # what a sentence puts behind it; a pattern would look at each run of capitals again and again
        while end and collected[end - 1] not in _CHECK_LETTERS:
            end -= 1
        token = collected[:end]
        body, _, check = token.rpartition(".")
        if len(check) == 6 and _SHAPE.fullmatch(token) and _check(body) == check:
            return token
        if word != line or not word or len(collected) > LONGEST_TOKEN:
            return None
    return None


def open_token(text: str, find: Callable[[str], Scenario]) -> Run:
    """Replay a token. ``find`` gives the scenario of a name, or raises :exc:`BadInput`.

    :exc:`StaleToken` if it was made with another version: the sentence says how far it still matches.
    """
    token = parse(text)
    scenario = find(token.name)
    try:
        run = Run(scenario, token.knobs)
        choices = _decode(token.schedule, list(run.world.actors), list(run.world.actions))
    except BadInput as error:
        if token.version != scenario.version:
            raise BadInput(f"{_other_version(token, scenario)} It cannot be replayed: {error}") from None
        raise
    run = run.driven(lambda world: itertools.takewhile(lambda choice: not world.why_not(choice), choices))
    stopped = run.world.why_not(choices[len(run)]) if len(run) < len(choices) else ""
    if token.version == scenario.version and not stopped and _trail(run.log, len(choices)) == token.trail:
        return run
    raise StaleToken(f"{_other_version(token, scenario)} {_how_far(token, run, len(choices), stopped)}", run)


def _other_version(token: Token, scenario: Scenario) -> str:
    if token.version != scenario.version:
        return f"The token is of version {token.version} of {scenario.name}; this is version {scenario.version}."
    return f"The token was made with another model of {scenario.name} (or its scenario changed without a new version)."


def _how_far(token: Token, run: Run, meant: int, stopped: str) -> str:
    pieces = [token.trail[i : i + 2] for i in range(0, 8, 2)]
    same = 0
    places = [meant * quarter // 4 for quarter in QUARTERS]
    for piece, place, found in zip(pieces, places, _digests(run.log, places), strict=True):
        if place > len(run) or found != piece:
            break
        same = place
    text = f"Of its {meant} steps, {len(run)} can still be taken; the log is the same at least to step {same}."
    return text + (f" Step {len(run) + 1} cannot: {stopped}." if stopped else "")


def _trail(log: Sequence[Entry], steps: int) -> str:
    return "".join(_digests(log, [steps * quarter // 4 for quarter in QUARTERS]))


def _digests(log: Iterable[Entry], places: Sequence[int]) -> Iterator[str]:
    """Twelve bits of a digest of the log through each of some steps, which ascend."""
    digest = hashlib.sha256()
    entries = iter(log)
    entry = next(entries, None)
    for place in places:
        while entry is not None and entry.step <= place:
            digest.update(json.dumps(to_json(entry), sort_keys=True).encode())
            entry = next(entries, None)
        yield base64.urlsafe_b64encode(digest.digest()[:3]).decode()[:2]


def _check(body: str) -> str:
    return base64.b32encode(zlib.crc32(body.encode()).to_bytes(4)).decode().lower()[:6]


def _encode(schedule: Iterable[str], actors: list[str], actions: list[str]) -> str:
    text = ""
    for choice, group in groupby(schedule):
        repeats = sum(1 for _ in group)
        if choice.startswith("!"):
            text += _letter(actions.index(choice[1:])).upper()
        else:
            text += _letter(actors.index(choice))
        text += str(repeats) if repeats > 1 else ""
    return text


def _letter(index: int) -> str:
    """``a`` to ``y`` for 0 to 24; each ``z`` before it adds 25."""
    return "z" * (index // 25) + chr(ord("a") + index % 25)


def _decode(text: str, actors: list[str], actions: list[str]) -> list[str]:
    choices: list[str] = []
    at = 0
    while at < len(text):
        match = _CHOICE.match(text, at)
        if match is None:
            raise BadInput(f"the token's schedule cannot be read from {text[at : at + 20]!r} on")
        letters, count = match.groups()
        at = match.end()
        names = actions if letters.isupper() else actors
        index = 25 * (len(letters) - 1) + ord(letters[-1].lower()) - ord("a")
        if index >= len(names):
            kind = "action" if letters.isupper() else "actor"
            raise BadInput(f"the token names {kind} number {index + 1}; the scenario has {len(names)}")
        repeats = int(count or 1)
        if len(choices) + repeats > LONGEST:
            raise BadInput(f"the token has more than {LONGEST} steps")
        choices += [f"!{names[index]}" if letters.isupper() else names[index]] * repeats
    return choices
