"""What the lab does when somebody presses something, without a browser."""

import pytest

from p2plab.core.errors import BadInput, NotEnabled
from p2plab.core.run import Run
from p2plab.core.schedule import straight
from p2plab.drivers.nic import ObedientNic
from p2plab.everything import find
from p2plab.lab.session import DRIVER, EVERYBODY, NOBODY, Session
from p2plab.p2p.things import things_of
from p2plab.search.drivers import cast


def done(session: Session) -> str:
    """The schedule in short: runs of the same choice as name*count."""
    from itertools import groupby

    return " ".join(f"{c}*{n}" if (n := len(list(g))) > 1 else c for c, g in groupby(session.run.schedule))


def test_a_press_runs_the_driver_it_asks_as_far_as_it_can():
    """Map runs the NIC's worker to its end; nobody else moves."""
    session = Session("workbench")
    before = len(session.run)
    session.press("map")
    assert done(session).split()[-2] == "!map"
    assert done(session).split()[-1].startswith("nic*")
    assert session.step == len(session.run) > before
    assert things_of(session.run.world).importers[0].held


def test_who_runs_after_a_press_can_be_chosen():
    """Nobody: the job waits in the inbox. Everybody: until nobody can go on."""
    session = Session("workbench")
    session.press("map", NOBODY)
    assert session.run.schedule[-1] == "!map"
    assert session.enabled() == ["nic"]
    session = Session("workbench")
    session.press("map", EVERYBODY)
    session.press("dma", EVERYBODY)
    assert session.enabled() == []
    assert [e.event.kind for e in session.run.log].count("BeatLanded") == 4


def test_a_press_that_makes_no_sense_says_why_and_changes_nothing():
    """There is nothing to unmap yet."""
    session = Session("workbench")
    before = (session.run.schedule, session.step, session.token)
    with pytest.raises(NotEnabled, match="the NIC has mapped nothing"):
        session.press("dma")
    assert (session.run.schedule, session.step, session.token) == before


def test_going_on_from_an_earlier_step_forks_and_keeps_the_token():
    """What came later is replaced; its token is handed back."""
    session = Session("workbench")
    session.press("map")
    whole = session.token
    place = session.step - 3
    session.look_at(place)
    assert session.enabled() == ["nic"]
    session.press("defrag", DRIVER)
    assert session.forked is not None
    assert (session.forked.token, session.forked.step) == (whole, place)
    session.open(whole)
    assert session.token == whole


def test_looking_around_changes_nothing():
    """Back, forward, out of range: the run stays."""
    session = Session("defrag-ignorant")
    whole = session.token
    for step in (0, 5, 10_000, -3):
        session.look_at(step)
        assert session.token == whole
    assert session.step == 0


def test_one_step_goes_to_who_acted_last():
    """Or to whom one names; refusals have a reason."""
    session = Session("workbench")
    session.press("map", NOBODY)
    session.take()
    session.take()
    assert session.run.schedule[-2:] == ("nic", "nic")
    with pytest.raises(NotEnabled, match="gpu has nothing to do"):
        session.take("gpu")
    session.press("defrag", NOBODY)
    session.take("gpu")
    assert session.run.schedule[-1] == "gpu"
    session.run_to_rest()
    with pytest.raises(NotEnabled, match="no actor can take a step now: press an action"):
        session.take()


def test_another_knob_begins_again_and_a_bad_one_changes_nothing():
    """The run that was is kept as a token."""
    session = Session("workbench")
    session.press("map")
    whole = session.token
    with pytest.raises(BadInput):
        session.reset({"pages": 16})
    assert session.token == whole
    session.reset({"importer": "ignorant"})
    assert session.run.settings["importer"] == "ignorant"
    assert session.forked is not None
    assert session.forked.token == whole


def test_a_bad_token_changes_nothing():
    """The sentence is the token's own."""
    session = Session("workbench")
    whole = session.token
    with pytest.raises(BadInput, match="not a token"):
        session.open("hello")
    assert session.token == whole


def test_an_empty_run_and_one_with_a_class_of_somebody_leave_no_token():
    """There is nothing to give back of an empty run; a token cannot carry a class, so it would replay another run."""
    session = Session("workbench")
    session.show(Run(find("workbench")))
    session.forked = None
    session.reset()
    assert session.forked is None
    session.show(Run(cast(find("defrag-obedient"), importer=ObedientNic)).driven(straight))
    session.forked = None
    session.reset()
    assert session.forked is None
