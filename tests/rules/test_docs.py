"""The documentation page lists what there is: every rule, every scene, every driver, every errno of the policies."""

import pkgutil
import re
from pathlib import Path

import p2plab.drivers
from p2plab.catalog import CASES
from p2plab.core.run import Run
from p2plab.everything import find
from p2plab.mm.kernel import KERNELS
from p2plab.p2p.placing import POLICIES
from p2plab.p2p.wiring import WIRINGS
from p2plab.rules import RULES
from p2plab.views.text import verdict

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "contract.md").read_text(encoding="utf-8")


def rows(pattern: str) -> list[tuple[str, ...]]:
    return [match.groups() for match in re.finditer(pattern, PAGE, re.MULTILINE)]


def test_every_rule_is_listed_with_its_promise_and_origin():
    """In the order of the board."""
    basis = r"(stated|inferred|stated; '[a-z ]+' is inferred)"
    listed = rows(
        rf"^\| `([a-z-]+)` \| (\d*) \| ([^|]+) \| ([^|]+) \| {basis}(, a price|, of a design|, of the hardware)? \|$"
    )
    assert [row[:5] for row in listed] == [
        (name, str(rule.number or ""), rule.promise, rule.source, rule.basis()) for name, rule in RULES.items()
    ]


def test_every_scene_is_listed_with_its_rule():
    """In the order of the catalogue."""
    assert rows(r"^\| `([fecxlh]\d+-[a-z-]+)` \| ([^|]+) \| `([a-z-]+)` \|$") == [
        (case.scenario.name, case.scenario.title, case.rule) for case in CASES.values()
    ]


def test_every_driver_wiring_and_policy_is_named():
    """None is left out."""
    for module in pkgutil.iter_modules(p2plab.drivers.__path__):
        assert f"`{module.name}.py`" in PAGE
    for word in (*WIRINGS, *POLICIES):
        assert f"`{word}`" in PAGE


def test_a_source_is_that_of_the_run_s_kernel():
    """mm/vma.c did not exist before 6.12: a run on an older kernel cites the file that it had."""
    rule = RULES["stays-out-of-mm"]
    assert rule.source_in("7.3") == rule.source_in("6.12") == rule.source
    assert rule.source_in("6.1") == "mm/mmap.c (do_mas_align_munmap)"
    told = "\n".join(verdict(Run(find("F3")).told()))
    assert "mm/mmap.c (__do_munmap)" in told
    assert "mm/vma.c" not in told


def test_every_kernel_that_a_source_names_is_one_that_is_known():
    """And no source is given for a file by its line: lines move."""
    for rule in RULES.values():
        assert set(rule.sources) <= set(KERNELS)
        assert not any(re.search(r"\.c:\d", source) for source in (rule.source, *rule.sources.values()))
