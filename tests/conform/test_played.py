"""What the catalogue says of the plays on a real kernel: every scene, in the command, in the docs, and true to the records."""

import json
import re
from pathlib import Path

import pytest

from p2plab.catalog import CASES
from p2plab.catalog.played import PLAYED, chip, linux, summary
from p2plab.cli import main
from p2plab.conform.scenes_read import read_record
from p2plab.drivers.nic import ObedientNic
from p2plab.everything import SCENES

ROOT = Path(__file__).parents[2]
RECORDS = [read_record(path) for path in sorted((ROOT / "assets" / "recordings" / "scenes").glob("*.json"))]


def test_every_scene_says_whether_it_was_played():
    """Each has both plays, or a reason for the one that is missing."""
    assert set(PLAYED) == set(CASES)
    for code, played in PLAYED.items():
        assert (None in (played.broken, played.good)) == bool(played.why), code


@pytest.mark.parametrize(
    "record", [r for r in RECORDS if not (r.varied or "srcu-notrace" in r.source)], ids=lambda record: record.name
)
def test_the_complaints_are_those_of_the_record(record):
    """Silent where the record is, and not where it is not; the killer that a play called does not count."""
    played = PLAYED[record.scene]
    play = played.broken if record.kind == "broken" else played.good
    assert bool(play.says) == bool([said for said in record.says if said.kind != "oom"])


def test_the_catalogue_prints_it(capsys):
    """`catalog --json` has `linux` for each scene: played, order, damage, complaints."""
    assert main(["catalog", "F1", "C4", "--seeds", "0", "--json"]) == 0
    first, fourth = (scene["linux"] for scene in json.loads(capsys.readouterr().out)["scenes"])
    assert first["played"] == ["broken", "good"]
    assert first["order"] == {"broken": "total", "good": "per actor"}
    assert first["damage"] == {"broken": "agrees", "good": "agrees"}
    assert first["complaints"] == {"broken": ["DMA-API leak (at the end)"], "good": []}
    assert fourth["played"] == []
    assert "ACS" in fourth["why_not"]


def test_the_page_has_the_same_table():
    """docs/real-kernel.md, row by row."""
    page = (ROOT / "docs" / "real-kernel.md").read_text(encoding="utf-8")
    rows = {cells[0]: cells[1:] for cells in (re.split(r" *\| *", line.strip("| ")) for line in page.splitlines())}
    for code, played in PLAYED.items():
        plays = [
            (p.order, p.damage, "; ".join(p.says) or "silent") if p else ("–",) * 3
            for p in (played.broken, played.good)
        ]
        assert tuple(rows[code]) == plays[0] + plays[1], code


def test_the_catalogue_says_how_often_the_kernel_is_silent():
    """29 of the 47 broken scenes that were played: what p2plab is for."""
    assert summary(CASES) == "Linux 6.12.117: 47 broken ones were played, and it said nothing in 29"


def test_a_scene_says_it_in_words(capsys):
    """One line more in `p2plab scenes`, also for a scene that was not played."""
    assert main(["scenes"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "on Linux 6.12.117: broken: order per actor, damage agrees; the kernel: silent. good: order total" in said
    assert "on Linux 6.12.117: not played (QEMU's switches have no ACS and would not reroute)" in said


@pytest.mark.parametrize(
    ("code", "settings", "said"),
    [
        ("F2", {"driver": "broken"}, "Linux 6.12: silent"),
        ("F3", {"driver": "broken"}, "Linux 6.12: lockdep; hung task"),
        ("F3", {"driver": "good"}, "Linux 6.12: silent"),
        ("F6", {}, "Linux 6.12: callback failed; WARN"),
        ("F2", {"driver": "broken", "pages": 3}, "Linux 6.12: not played"),
        ("C3", {"driver": "broken"}, "Linux 6.12: not played"),
    ],
)
def test_a_chip_says_it_in_a_few_words(code, settings, said):
    """Of the driver that plays; other pages, or a class of somebody's own, were not played."""
    assert chip(CASES[code].scenario, settings) == said


def test_what_is_no_case_has_no_chip():
    """Nor has a case with another class in one of its roles."""
    assert linux(SCENES["workbench"]) is None
    assert chip(SCENES["workbench"], {}) == ""
    assert chip(CASES["F2"].scenario.with_cast({"importer": ObedientNic}), {}) == ""
