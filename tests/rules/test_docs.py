"""The documentation page lists what there is: every rule, every scene, every driver, every errno of the policies."""

import pkgutil
import re
from pathlib import Path

import p2plab.drivers
from p2plab.catalog import CASES
from p2plab.p2p.placing import POLICIES
from p2plab.p2p.wiring import WIRINGS
from p2plab.rules import RULES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "contract.md").read_text(encoding="utf-8")


def rows(pattern: str) -> list[tuple[str, ...]]:
    return [match.groups() for match in re.finditer(pattern, PAGE, re.MULTILINE)]


def test_every_rule_is_listed_with_its_promise_and_origin():
    """In the order of the board."""
    basis = r"(stated|inferred|stated; '[a-z ]+' is inferred)"
    listed = rows(rf"^\| `([a-z-]+)` \| (\d*) \| ([^|]+) \| ([^|]+) \| {basis}(, a price|, of a design)? \|$")
    assert [row[:5] for row in listed] == [
        (name, str(rule.number or ""), rule.promise, rule.source, rule.basis()) for name, rule in RULES.items()
    ]


def test_every_scene_is_listed_with_its_rule():
    """In the order of the catalogue."""
    assert rows(r"^\| `([fec]\d+-[a-z-]+)` \| ([^|]+) \| `([a-z-]+)` \|$") == [
        (case.scenario.name, case.scenario.title, case.rule) for case in CASES.values()
    ]


def test_every_driver_wiring_and_policy_is_named():
    """None is left out."""
    for module in pkgutil.iter_modules(p2plab.drivers.__path__):
        assert f"`{module.name}.py`" in PAGE
    for word in (*WIRINGS, *POLICIES):
        assert f"`{word}`" in PAGE
