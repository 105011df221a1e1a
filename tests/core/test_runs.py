"""Runs, schedules and tokens: the same scenario and choices give the same log, here and anywhere."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2plab.core.actors import step
from p2plab.core.errors import BadInput, NotEnabled
from p2plab.core.locks import Mutex
from p2plab.core.run import Run
from p2plab.core.scenario import Knob, Scenario
from p2plab.core.schedule import by_clock, by_list, by_seed, by_text, straight
from p2plab.core.token import StaleToken, _check, open_token, parse, token_in, token_of
from p2plab.core.tracked import Tracked
from p2plab.core.worker import Worker
from p2plab.core.world import World


class Sheet(Tracked):
    def __init__(self):
        self.lines = []


def build(world: World, knobs) -> None:
    sheet, pen = Sheet(), Mutex("pen")

    def writing(name):
        async def write() -> None:
            for number in range(knobs["lines"]):
                async with pen:
                    await step(
                        f"line {number}", lambda n=number: sheet.lines.append((name, n)), duration=knobs["ticks"]
                    )

        return write

    for name in knobs["who"].split("-and-"):
        world.actor(name, writing(name))
    desk = Worker(world, "desk", {"stamp": writing("stamp")})
    world.action("stamp", "stamps the sheet", lambda: desk.post("stamp"))


SCENE = Scenario(
    "sheet",
    "people write on one sheet",
    build,
    knobs=(
        Knob("lines", 2, "lines each", low=0, high=5),
        Knob("ticks", 3, "how long a line takes", low=1, high=9),
        Knob("who", "ann-and-bob", "who writes", choices=("ann-and-bob", "ann-and-bob-and-cy")),
    ),
)


@pytest.mark.parametrize("given", [{}, {"low": 3, "high": 3}, {"choices": ("a", "b"), "high": 4}])
def test_a_knob_is_a_list_or_a_range(given):
    """Neither, both, or a range without room is a mistake of whoever wrote the scene."""
    with pytest.raises(ValueError, match="either choices, or numbers"):
        Knob("lines", 2, "lines each", **given)


def find(name: str) -> Scenario:
    if name != "sheet":
        raise BadInput(f"there is no scene {name!r}")
    return SCENE


@st.composite
def runs(draw) -> Run:
    """Any run of the scene: random knobs, random steps, presses in between."""
    run = Run(SCENE, {"lines": draw(st.integers(0, 3)), "who": draw(st.sampled_from(SCENE.knobs[2].choices))})
    for press in draw(st.lists(st.booleans(), max_size=4)):
        run = run.driven(by_seed(draw(st.integers(0, 999))), draw(st.integers(0, 12)))
        if press:
            run = run.then("!stamp")
    return run


@given(runs(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_replay_equals_the_run_at_every_step(run, data):
    """Going back to any step gives the state and the log that were there on the way."""
    place = data.draw(st.integers(0, len(run)))
    world = run.at(place)
    fresh = Run(SCENE, run.settings, run.schedule[:place])
    assert world.state() == fresh.world.state()
    assert tuple(world.log) == fresh.log == tuple(e for e in run.log if e.step <= place)
    assert run.fork(place).driven(by_list(run.schedule[place:])).log == run.log


@given(runs())
@settings(max_examples=60, deadline=None)
def test_two_runs_of_one_token_are_equal(run):
    """The token is all there is to a run."""
    first, second = (open_token(token_of(run), find) for _ in range(2))
    assert first == second == run
    assert first.log == second.log == run.log
    assert first.world.state() == run.world.state()


@given(
    runs(), st.text(st.characters(codec="ascii", exclude_categories=["Cc", "Zs"]), min_size=1, max_size=3), st.data()
)
@settings(max_examples=150, deadline=None)
def test_a_damaged_token_is_found_out(run, noise, data):
    """Any change of its letters is a sentence and not another run."""
    token = token_of(run)
    place = data.draw(st.integers(0, len(token) - 1))
    damaged = token[:place] + noise + token[place + len(noise) :]
    if damaged != token:
        with pytest.raises(BadInput):
            parse(damaged)


@given(st.text(max_size=200))
def test_any_text_is_either_a_token_or_bad_input(text):
    """Nothing else comes out of the parser."""
    with pytest.raises(BadInput):
        parse(text)


def test_a_token_survives_the_mail():
    """Line breaks and spaces that a mail program puts in do no harm."""
    token = token_of(Run(SCENE).driven(straight))
    assert token == "p2p1.sheet~1.-.a6b6.Jyr1AnwT.nv57s7"
    assert parse(token[:20] + "\n  " + token[20:]) == parse(token)


def test_a_token_of_another_version_says_how_far_it_matches():
    """The choices that can still be taken are replayed, and the first that cannot is named with its reason."""
    token = token_of(Run(SCENE, {"lines": 2}).driven(by_text("ann bob")))

    def shorter(world: World, knobs) -> None:
        build(world, {**knobs, "lines": 1})

    newer = dataclasses.replace(SCENE, version=2, build=shorter)
    with pytest.raises(StaleToken) as stale:
        open_token(token, lambda _name: newer)
    assert str(stale.value) == (
        "The token is of version 1 of sheet; this is version 2. Of its 12 steps, 3 can still be taken; "
        "the log is the same at least to step 3. Step 4 cannot: ann has finished."
    )
    assert stale.value.run.schedule == ("ann", "ann", "ann")


def test_a_change_that_forgot_its_version_is_noticed():
    """The trail of the log tells that the same choices now mean something else."""
    token = token_of(Run(SCENE).driven(straight))
    changed = dataclasses.replace(SCENE, build=lambda world, knobs: build(world, {**knobs, "ticks": 5}))
    with pytest.raises(StaleToken) as stale:
        open_token(token, lambda _name: changed)
    assert str(stale.value).startswith("The token was made with another model of sheet (or its scenario changed")
    assert "12 can still be taken; the log is the same at least to step 0" in str(stale.value)


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        ("", "not a token: '' does not begin with p2p1."),
        ("p2p2.sheet~1.-.a.AAAAAAAA.aaaaaa", "does not begin with p2p1."),
        ("p2p1." + "a" * 201_000, "characters, at most 201000 are possible"),
        ("p2p1.sheet~1.-.a.AAAAAAAA.aaaaaa", "the token is damaged: its check does not fit"),
        ("p2p1.sheet~1.-.a", "the token is damaged"),
    ],
)
def test_bad_tokens_get_a_sentence(token, sentence):
    """Each kind of damage is told apart."""
    with pytest.raises(BadInput) as bad:
        open_token(token, find)
    assert sentence in str(bad.value)


def forged(body: str) -> str:
    from p2plab.core.token import _check

    return f"{body}.{_check(body)}"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("p2p1.nosuch~1.-.a.AAAAAAAA", "there is no scene 'nosuch'"),
        ("p2p1.sheet~1.lines=99.a.AAAAAAAA", "lines=99 is not possible; allowed: 0 to 5"),
        ("p2p1.sheet~1.ink=red.a.AAAAAAAA", "sheet has no knob 'ink'; it has: lines, ticks, who"),
        ("p2p1.sheet~1.-.aq.AAAAAAAA", "the token names actor number 17; the scene has 3"),
        ("p2p1.sheet~1.-.B.AAAAAAAA", "the token names action number 2; the scene has 1"),
        ("p2p1.sheet~1.-.a999999a999999.AAAAAAAA", "the token has more than 100000 steps"),
    ],
)
def test_a_forged_token_cannot_ask_for_more_than_there_is(body, sentence):
    """A right check does not help a token that names what is not there, or asks for endless work."""
    with pytest.raises(BadInput) as bad:
        open_token(forged(body), find)
    assert sentence.replace("the scene has", "the scenario has") in str(bad.value)


def test_a_text_schedule_reads_as_people_write_it():
    """A name runs as long as it can, a star counts, a bang presses, three dots run to the end."""
    run = Run(SCENE, {"lines": 1}).driven(by_text("bob*2, !stamp  ann ..."))
    assert run.schedule == ("bob", "bob", "!stamp", "ann", "ann", "ann", "bob", "desk", "desk", "desk", "desk")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ann *3", "schedule, word 2: '*3' cannot be read; write actor, actor*3, !action or ..."),
        ("ann eve", "schedule, word 2, 'eve': there is no actor 'eve'; there are ann, bob, desk"),
        ("!fly", "schedule, word 1, '!fly': there is no action 'fly'; there are stamp"),
        ("ann*99", "schedule, word 1, 'ann*99': ann has finished"),
        ("; rm", "schedule, word 1: ';' cannot be read"),
    ],
)
def test_a_bad_text_schedule_names_the_word(text, sentence):
    """And says what could be written instead, or why it cannot be done."""
    with pytest.raises(BadInput) as bad:
        Run(SCENE).driven(by_text(text))
    assert sentence in str(bad.value)


def test_then_and_fork_leave_the_run_as_it_was():
    """A run is a value: also when what should follow cannot be done."""
    run = Run(SCENE).driven(straight, 4)
    before = run.log
    longer = run.then("!stamp")
    assert (run.schedule, run.log) == (longer.schedule[:4], before)
    with pytest.raises(NotEnabled):
        run.then("ann", "nobody")
    assert run.log == before
    assert run.fork(2).schedule == run.schedule[:2]
    with pytest.raises(IndexError, match="there is no step 9: the run has 4"):
        run.at(9)


def test_the_clock_lets_who_is_ready_first_go_first():
    """A discrete-event run: times never go back, and ties go to the actor added first."""
    run = Run(SCENE, {"lines": 1}).driven(by_clock)
    times = [entry.time for entry in run.log]
    assert times == sorted(times)
    assert run.schedule[:2] == ("ann", "ann")


@pytest.mark.parametrize("name", ["two words", "you", "ann", ""])
def test_an_actor_s_name_can_be_written_in_a_schedule(name):
    """Names that a schedule could not say are refused when the world is built."""

    async def nothing() -> None:
        await step("nothing")

    def bad(world: World) -> None:
        world.actor("ann", nothing)
        world.actor(name, nothing)

    with pytest.raises(ValueError, match="an actor cannot be called"):
        World(bad)


@pytest.mark.parametrize("value", ["٣", "3 ", " 3", "+3", "1_0", "3.0", "0x3", "", "-", "³", "9" * 21])
def test_a_number_is_written_in_digits(value):
    """Those of ASCII, and nothing else that Python's int() would read: a token keeps what was written."""
    with pytest.raises(BadInput, match="is not possible; allowed: 0 to 5"):
        SCENE.settings({"lines": value})


def test_a_long_token_replays_once():
    """Each step is taken a single time, however long the run: a link is nobody's to make slow."""
    taken = 0

    class Counting(World):
        def take(self, choice):
            nonlocal taken
            taken += 1
            super().take(choice)

    class Scene(Scenario):
        def world(self, **knobs):
            return Counting(lambda world: self.build(world, self.settings(knobs)), self.cast)

    run = Run(SCENE).driven(straight)
    counted = Scene(SCENE.name, SCENE.title, SCENE.build, knobs=SCENE.knobs)
    assert open_token(token_of(run), lambda _name: counted).schedule == run.schedule
    assert taken == len(run)


def test_a_token_of_100_000_steps_is_found_in_a_mail():
    """In capitals from end to end, as a schedule may be: looking for its end takes no longer than reading it."""
    body = f"p2p1.workbench~3.-.{'CQ' * 50_000}.AAAAAAAA"
    token = f"{body}.{_check(body)}"
    assert token_in(f"> Look at this: {token}.\n> Thanks") == token
    with pytest.raises(BadInput, match="damaged"):
        token_in(token.replace("CQ", "CC", 1))
