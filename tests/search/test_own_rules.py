"""Rules of your own: found beside the driver, watched like any other, told in the story and in the test to paste."""

import pytest

from p2plab import check, find
from p2plab.core.errors import BadInput
from p2plab.core.schedule import schedule_text
from p2plab.rules import always, never
from p2plab.rules.base import Rule
from p2plab.search import Violation, breaks
from p2plab.views.report import pytest_of, text
from tests.search import own_rules
from tests.search.own_rules import Mine


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ("one-map", "the NIC takes its fast path"),
        ("few-held", "it does not hold that the NIC holds at most one page"),
        ("one-beat", "a second beat landed"),
        ("must-reach", "no order of events ever reaches the slow path"),
    ],
)
def test_each_kind_of_rule_is_watched(rule, what):
    """Over events, over states, with a memory, and a goal; the counterexample breaks it again."""
    rules = None if rule == "must-reach" else [rule]
    answer = check("defrag-obedient", importer=Mine, rules=rules or ["no-crash"], pages=2, shrink=False)
    assert isinstance(answer, Violation)
    assert answer.rule == rule
    assert what in answer.what
    if rules:
        order = schedule_text(answer.run.schedule)
        assert breaks(rule, find("defrag-obedient"), order, importer=Mine, knobs={"pages": 2})
        assert f'breaks("{rule}"' in pytest_of(answer)
        assert "(yours)" in text(answer)


def test_all_of_them_are_watched_without_being_named():
    """As every promise is."""
    answer = check("defrag-obedient", importer=Mine, pages=2, shrink=False)
    assert {"one-map", "few-held", "one-beat", "obedience"} <= set(answer.watched)


def test_a_rule_that_raises_or_writes_is_bad_input(monkeypatch):
    """The sentence names the rule; it is not blamed on the driver."""
    monkeypatch.setattr(own_rules, "few_held", always("x", lambda things: things.nothing))
    with pytest.raises(BadInput, match="the rule few-held raised AttributeError"):
        check("defrag-obedient", importer=Mine, rules=["few-held"])
    monkeypatch.setattr(
        own_rules, "few_held", always("x", lambda things: setattr(things.importers[0], "closed", True) or 1)
    )
    with pytest.raises(BadInput, match=r"the rule few-held changes Mine0\.closed: a rule must not change anything"):
        check("defrag-obedient", importer=Mine, rules=["few-held"])
    monkeypatch.setattr(own_rules, "one_map", never("x", lambda entry: 1 / 0))
    with pytest.raises(BadInput, match="the rule one-map raised ZeroDivisionError"):
        check("defrag-obedient", importer=Mine, rules=["one-map"])


class LooksAtTheTime(Rule):
    """A rule with a memory that wants to know what no order of events decides."""

    name, promise = "early", "all is over by the third step"

    def see(self, entry):
        if entry.step > 3:
            yield self.broken(entry, entry.actor, "late")


def test_a_rule_with_a_memory_that_raises_is_bad_input_too(monkeypatch):
    """A step's number may decide nothing; the sentence says so and names the rule."""
    monkeypatch.setattr(own_rules, "early", LooksAtTheTime, raising=False)
    with pytest.raises(BadInput, match="the rule early raised TypeError: a step's number or a time decides something"):
        check("defrag-obedient", importer=Mine, rules=["early"])


def test_a_name_that_is_taken_is_refused(monkeypatch):
    """Two rules of one name would be told apart by nobody."""
    monkeypatch.setattr(own_rules, "obedience", never("x", lambda entry: False), raising=False)
    with pytest.raises(BadInput, match="your rule obedience has the name of one of p2plab's"):
        check("defrag-obedient", importer=Mine)
