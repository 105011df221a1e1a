"""The text twin: columns, switch rows with reasons, wrapping, and the trace."""

from p2plab.core.actors import step
from p2plab.core.locks import Mutex
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import by_text, straight
from p2plab.core.world import World
from p2plab.views.leaves_out import LEAVES_OUT, as_text
from p2plab.views.text import WIDTH, columns, story, verdict


def two(world: World, _settings) -> None:
    lock = Mutex("door")

    def through(pause: str):
        async def go() -> None:
            async with lock:
                await step(pause)

        return go

    world.actor("ann", through("looks around"))
    world.actor(
        "bob", through("a very long label that has to be wrapped since it does not fit into what is left of a line")
    )


TWO = Scenario("two", "two at a door", two, rules=("no-deadlock", "no-crash"))


def test_columns_have_one_lane_an_actor_and_a_reason_for_every_switch():
    """Blocked with whom it waits for, could go on, finished."""
    run = Run(TWO).driven(by_text("ann*2 bob*1 ann bob"))
    assert list(columns(run)) == [
        "step ann  bob",
        "   1 lock door",
        "   2 looks around",
        "---- ann -> bob: ann could go on ---------------------------------------",
        "   3 |    lock door",
        "---- bob -> ann: bob could go on ---------------------------------------",
        "   4 door released",
        "---- ann -> bob: ann has finished --------------------------------------",
        "   5 |    a very long label that has to be wrapped since it does not fit",
        "     |      into what is left of a line",
        "   6 |    door released",
    ]


def test_no_line_is_wider_than_a_mail():
    """Whatever the labels are."""
    assert max(map(len, story(Run(TWO).driven(straight)).splitlines())) <= WIDTH


def test_a_run_in_which_nothing_was_tested_says_so():
    """Kept is not the same as not put to the test."""
    assert list(verdict(Run(TWO))) == [
        "all rules held (0 of 2 put to the test)",
        "not put to the test: no-deadlock, no-crash",
    ]


def test_what_the_model_leaves_out_fits_a_mail_too():
    """Every item is there."""
    lines = as_text()
    assert max(map(len, lines)) <= WIDTH
    assert len([line for line in lines if line.startswith("- ")]) == len(LEAVES_OUT)
