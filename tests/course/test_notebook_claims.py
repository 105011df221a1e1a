"""What the notebooks say of runs is replayed; their links inside the project lead somewhere; they have one shape."""

import json
import re
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from p2plab.catalog import find
from p2plab.catalog.verdict import board
from p2plab.check import Pass, check
from p2plab.core.run import Run
from p2plab.core.schedule import by_seed, by_text
from p2plab.course.review import CLAIMS, evidence
from p2plab.mm.ask import ask
from p2plab.pci import assign_resources, pci_test_p2p, reach_2019, reach_today, read_machine, with_acs, with_cpu
from p2plab.pci.bars import size_from_readback
from p2plab.rules import RULES
from p2plab.sweeps import fragmentation, refusals
from p2plab.views.text import board_of

ROOT = Path(__file__).parents[2]
#: 00, 10 (the designs that came later) and the app have tests of their own.
COURSE = sorted(path for path in (ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb") if path.name[:2] not in ("00", "10"))
BREAKS = re.compile(r"`([A-Za-z0-9-]+)`\s+breaks\s+`([a-z-]+)`")
HOLDS = re.compile(r"`([A-Za-z0-9-]+)`\s+holds")


@cache
def cells(path, kind="markdown"):
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def claimed(pattern):
    return sorted({match.groups() for path in COURSE for text in cells(path) for match in pattern.finditer(text)})


def test_there_are_eleven_and_each_has_the_same_shape():
    """What you will be able to do, sources, what is left out; questions and a way on at the end."""
    assert len(COURSE) == 11
    for path in COURSE:
        first, last = cells(path)[0], cells(path)[-1]
        for word in ("minutes", "you can", "**Sources.**", "**What the model leaves out:**"):
            assert word in first or "you have written" in first, (path.name, word)
        assert "tated" in first
        assert "nferred" in first
        assert "## Questions" in last
        assert "**On:**" in last


def test_cells_are_short():
    """A cell of code is a few lines; the one skeleton is what the learner writes."""
    for path in COURSE:
        long = [code for code in cells(path, "code") if len(code.splitlines()) > 10 and "class MyNic" not in code]
        assert long == [], path.name


@pytest.mark.parametrize(("scene", "rule"), claimed(BREAKS))
def test_what_is_said_to_break_breaks(scene, rule):
    """In the scene's own story; the search agrees where it is named for that rule."""
    assert rule in RULES
    run = Run(find(scene)).driven(by_text(find(scene).story, strict=False), 5000)
    assert board(run).first(rule) is not None


@pytest.mark.parametrize("scene", [found for (found,) in claimed(HOLDS)])
def test_what_is_said_to_hold_holds_in_every_order(scene):
    """Not only in its story."""
    answer = check(find(scene))
    assert isinstance(answer, Pass)
    assert answer.complete


def test_other_scenes_that_are_named_exist():
    """F, E and C with a number."""
    for path in COURSE:
        for code in re.findall(r"`([FEC]\d{1,2})`", "".join(cells(path))):
            find(code)


def test_files_that_are_named_exist():
    """Notebooks, docs, folders."""
    for path in COURSE:
        text = "".join(cells(path))
        for name in re.findall(r"`(\d\d-[\w-]+\.ipynb)`", text):
            assert (ROOT / "notebooks" / name).is_file(), (path.name, name)
        for name in re.findall(r"`((?:docs|examples)/[\w.-]*)`", text):
            assert (ROOT / name).exists(), (path.name, name)


def test_address_spaces():
    """01: two vmas after the cut; the three refusals."""
    answer = ask("munmap_part", "device")
    assert (len(answer.before.vmas), len(answer.after.vmas)) == (1, 2)
    said = [ask(name, "device").returned[:7] for name in ("madvise_dontneed", "mremap_grow", "get_user_pages")]
    assert said == ["-EINVAL", "-EFAULT", "-EFAULT"]


def test_bars_and_windows():
    """02: the size, the three windows around the BAR, a machine with too little room."""
    assert size_from_readback(0xF000000C, 0xFFFFFFFF) == 256 << 20
    machine = read_machine("q35_switch2")
    bar = next(bar for bar in machine["03:00.0"].bars if bar.index == 2)
    assert bar.size == 128 << 20
    above = [window for bdf in ("00:02.0", "01:00.0", "02:00.0") for window in machine[bdf].windows]
    assert sum(window.start <= bar.start and bar.end <= window.end for window in above) == 3
    assert any("no space" in line for line in assign_resources(read_machine("q35_bigbars_phys36")).messages)


def test_who_can_reach_whom():
    """03: distances and both what-ifs."""
    machine = read_machine("q35_switch2")
    assert [reach_2019(machine, "03:00.0", client).distance for client in ("04:00.0", "08:00.0")] == [4, -1]
    today = [reach_today(machine, "03:00.0", client).map_type for client in ("04:00.0", "08:00.0")]
    assert today == ["BUS_ADDR", "NOT_SUPPORTED"]
    assert reach_today(with_cpu(machine, "zen"), "03:00.0", "08:00.0").map_type == "THRU_HOST_BRIDGE"
    redirected = with_acs(read_machine("q35_switch1"), {"02:00.0": 0x1C})
    assert reach_today(redirected, "03:00.0", "04:00.0").map_type == "NOT_SUPPORTED"
    assert not pci_test_p2p(machine, "03:00.0", "04:00.0", "as posted")
    assert pci_test_p2p(machine, "03:00.0", "04:00.0")


def test_notifiers():
    """04: once, twice, and the negatives."""
    heard = {
        name: [row.event for row in ask(name, "device").rows]
        for name in ("munmap", "mremap_move", "fork", "mprotect_unpopulated", "oom_reaper", "zap_vma_ptes")
    }
    assert heard == {
        "munmap": ["UNMAP"],
        "mremap_move": ["UNMAP", "UNMAP"],
        "fork": [],
        "mprotect_unpopulated": [],
        "oom_reaper": [],
        "zap_vma_ptes": ["CLEAR"],
    }


def test_moving_things():
    """07: what a tenth of pinned objects costs, short-lived and long-lived; which policies never refuse later."""
    found = fragmentation(seeds=5, shares=(0.0, 0.1, 0.4), lifetimes=(1, 4))
    share = "largest free run / free slots"
    for factor, low, high in ((1, 0.9, 1.0), (4, 0.0, 0.75)):
        curve = found.series(f"lifetime x{factor}", share)
        assert curve[0].median == 1
        assert low <= curve[1].median <= high
    later = refusals(seeds=3, ratios=(0.75, 1.6))
    worst = {
        name: max(point.median for point in later.series(name, "refused later, share of maps"))
        for name in ("refuse", "reserve", "ram", "cap")
    }
    assert worst["refuse"] > 0
    assert worst["reserve"] == worst["ram"] == worst["cap"] == 0


def test_every_order():
    """08: chance rarely finds the late beat; the search always does."""
    runs = [Run(find("F2")).driven(by_seed(seed), 5000) for seed in range(50)]
    assert sum(board_of(run).first("obedience") is not None for run in runs) <= 2


@pytest.mark.parametrize(
    ("key", "words"),
    {
        "two-rules": ["defrag-obedient HOLDS", "defrag-ignorant BREAKS obedience"],
        "only-false": ["72 pairs of q35_switch2: as posted 0 say yes, as intended 4"],
        "same-engine": ["on 72 of 72 pairs"],
        "test-more": ["2019 4 reachable; today 4 with an Intel CPU, 72 with an AMD Zen"],
        "who-calls": ["p2p_map set by nobody", "p2p_map called by nobody"],
        "set-in-mmap": ["p2p_map set by gpu", "hmm calls gpu.p2p_map"],
        "core-calls": ["p2p_map set by hmm", "mm calls hmm.p2p_map"],
        "no-pin": ["0xe8003000", "0xe8001000"],
        "serialise": ["BREAKS no-map-while-moving", "HOLDS in every order"],
        "for-one-device": ["BROKEN: own-address"],
        "unplug": ["BROKEN: gone-means-nobody", "p2p_map failed, -ENODEV"],
        "permission": ["BROKEN: asked-each-time", "the two contradict"],
        "zap-tells": ["entries of A: 0", "CLEAR"],
        "no-gup": ["get_user_pages: -EFAULT", "pin_user_pages: -EFAULT"],
        "pins-fragment": ["largest free run"],
        "split-only": ["before: 1, after munmap of the middle: 2"],
        "page-cost": ["256 MiB"],
        "vma-life": ["BROKEN: vma-alive"],
        "pin-until-unmap": ["BREAKS obedience"],
        "loop-skips": ["hmm_range_dma_map: 5 of 6"],
    }.items(),
)
def test_each_claim_of_the_review_has_its_run(key, words):
    """09: author, date, a link that is formed from the Message-ID, and what the run says."""
    said = evidence(key)
    assert all(word in said for word in words)
    assert f"https://lore.kernel.org/linux-mm/{CLAIMS[key].mail}/" in said
    assert "@" in CLAIMS[key].mail


def test_every_claim_is_tested_here_and_named_in_the_notebook():
    """None is forgotten."""
    marks = test_each_claim_of_the_review_has_its_run.pytestmark[0].args[1]
    assert {key for key, _ in marks} == set(CLAIMS)
    code = "".join(cells(ROOT / "notebooks" / "09-the-review.ipynb", "code"))
    assert set(re.findall(r'evidence\("([\w-]+)"\)', code)) <= set(CLAIMS)
    assert len(re.findall(r'evidence\("', code)) >= 16


def test_a_class_of_a_cell_is_saved_and_can_be_handed_in(tmp_path, own_folder):
    """12: in a real kernel, where a class has no file."""
    path = ROOT / "notebooks" / "12-your-own-drivers.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code"][:3]
    notebook.cells.append(nbformat.v4.new_code_cell("from p2plab.course import hand_in\nhand_in('Ada')"))
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert "class MyNic(Importer)" in (own_folder / "obey.py").read_text()
    assert "MyNic" in json.loads((tmp_path / "Ada.json").read_text())["sources"]["obey"]["source"]
