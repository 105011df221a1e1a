"""Random orders, for what is left of a budget: how many, of which depth, and what they find."""

import json

import pytest

from p2plab.core.actors import step
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import schedule_text
from p2plab.core.tracked import Tracked
from p2plab.search import Incomplete, Search, Violation, breaks, check
from p2plab.search.pct import IN_A_ROW, Chance
from p2plab.search.verdict import Net
from p2plab.views.report import as_json, exit_status, text

HEALTH = ("no-deadlock", "no-crash")


class Box(Tracked):
    def __init__(self):
        self.count = 0
        self.half = False


def scene_of(wrong: bool, hides: bool = False, many: int = 3) -> Scenario:
    """``many`` count to six; one of them leaves a flag set between two of its steps, at which the last one looks."""

    def build(world, _knobs):
        boxes = [Box() for _ in range(many)]
        closure: list[int] = []

        async def count(number):
            box = boxes[number]
            for _ in range(6):
                await step("counts", lambda: setattr(box, "count", box.count + 1))
            if hides:
                await step("hides", lambda: closure.append(number))
            box.half = wrong
            await step("has half")
            box.half = False

        async def last():
            for _ in range(3):
                await step("goes on")
            assert not any(box.half for box in boxes), "it saw half of it"

        for number in range(many):
            world.actor(f"a{number}", lambda number=number: count(number))
        world.actor("last", last)

    return Scenario("counting", f"{many} that count", build, rules=HEALTH)


def test_a_search_that_has_to_end_goes_on_with_random_orders():
    """The verdict says how many, of which depths, and that none broke a promise: text, HTML and JSON."""
    answer = check(scene_of(wrong=False), states=60, budget=2.0)
    assert isinstance(answer, Incomplete)
    assert answer.why == "there are more than 60 states"
    tried = answer.chance
    assert tried.orders > 2
    assert (tried.depths, tried.steps, tried.broke) == ((2, answer.switches + 3), 24, 0)
    said = f"tried besides: {tried.orders:,} random orders (PCT), of depth 2 to {answer.switches + 3}: none broke a promise"
    assert said in " ".join(text(answer).split())
    assert "random orders (PCT)" in answer._repr_html_()
    found = json.loads(json.dumps(as_json(answer)))["random_orders"]
    assert (found["orders"], found["depths"]) == (tried.orders, list(tried.depths))
    assert exit_status(answer) == 3


def test_what_a_random_order_finds_is_a_broken_promise():
    """Confirmed, shortened, exit 1; and the report says that there may be a smaller story."""
    scene = scene_of(wrong=True)
    answer = check(scene, states=20, budget=5.0)
    assert isinstance(answer, Violation)
    assert (answer.rule, exit_status(answer)) == ("no-crash", 1)
    assert answer.chance.broke >= 2
    assert (answer.switches, answer.steps) == (1, 9)  # one counts, and the last looks
    assert breaks("no-crash", scene, schedule_text(answer.run.schedule)) is not None
    assert "found by a random order (PCT, number" in " ".join(text(answer).split())
    assert as_json(answer)["random_orders"]["broke_at_depth"] == answer.chance.broke


@pytest.mark.parametrize("wrong", [False, True])
def test_plain_replay_goes_on_with_random_orders_too(wrong):
    """Where a state cannot be frozen each order is run."""
    answer = check(scene_of(wrong, hides=True), budget=1.0, shrink=False)
    if wrong:
        assert isinstance(answer, Violation)
    else:
        assert "every run was replayed, because" in answer.why
        assert answer.chance.orders > 0


def test_the_last_part_of_a_budget_is_for_random_orders():
    """A search that is done in time has no need of them; one that is not leaves them a fifth."""
    assert getattr(check(scene_of(wrong=False), budget=120.0), "chance", None) is None
    search = Search(scene_of(wrong=False, many=9), budget=0.5)  # 400 million states
    while search.advance(0.01) is None:
        pass
    assert isinstance(search.verdict, Incomplete)
    assert search.verdict.why == "the budget of 0.5 s is used up"
    assert search.verdict.chance.orders > 0


def test_a_search_that_is_done_is_not_undecided_for_want_of_the_second_net(monkeypatch):
    """Its time is up in the middle of the net: what was run again until then counts."""
    monkeypatch.setattr("p2plab.search.net.SecondNet.advance", lambda self, _seconds: False)
    answer = check(scene_of(wrong=False), budget=2.0)
    assert answer.word == "HOLDS"
    assert answer.net == Net(0, answer.effort.transitions)


class Scripted:
    """Two actors: the first can always go on, the second ends the run."""

    actors = ("spins", "ends")

    def begin(self):
        self.over = False

    def able(self, _actor):
        return not self.over

    def step(self, actor, _path):
        self.over = actor == 1

    def end(self):
        return None


def test_whoever_goes_round_and_round_lets_the_others_go_on():
    """A loop that waits for another actor would never end, were it of the highest priority for ever."""
    chance = Chance(Scripted(), switches=-1, seconds=0.2)
    chance.advance(0.2)
    assert chance.done
    assert chance.tried.orders > 10
    assert chance.tried.steps <= 2 * (IN_A_ROW + 1)
