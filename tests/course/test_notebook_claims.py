"""What the notebooks say of runs is replayed; their links inside the project lead somewhere; they have one shape."""

import itertools
import json
import re
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from p2plab import find
from p2plab.catalog import CASES
from p2plab.catalog.played import summary
from p2plab.catalog.verdict import board, story_run
from p2plab.core.run import Run
from p2plab.core.schedule import by_seed
from p2plab.course.review import CLAIMS, evidence
from p2plab.designs import DESIGNS
from p2plab.designs.matrix import cell
from p2plab.mm.ask import ask
from p2plab.mm.ask_window import window
from p2plab.pci import (
    RFC2019,
    assign_resources,
    pci_test_p2p,
    reach_matrix,
    reach_verdict,
    read_machine,
    with_acs,
    with_cpu,
)
from p2plab.pci.bars import size_from_readback
from p2plab.rules import RULES
from p2plab.search import Pass, check
from p2plab.sweeps import fragmentation, refusals
from p2plab.views.damage import memory_picture, memory_text
from p2plab.views.follow import follow_page
from p2plab.views.stage import moment
from p2plab.views.text import board_of, columns, phrase

ROOT = Path(__file__).parents[2]
COURSE = sorted((ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb"))
BREAKS = re.compile(r"`([A-Za-z0-9-]+)`\s+breaks\s+`([a-z-]+)`")
HOLDS = re.compile(r"`([A-Za-z0-9-]+)`\s+holds")


@cache
def cells(path, kind="markdown"):
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def claimed(pattern):
    return sorted({match.groups() for path in COURSE for text in cells(path) for match in pattern.finditer(text)})


def test_there_are_fourteen_and_each_has_the_same_shape():
    """What you will be able to do, sources, what is left out; questions with folded answers and a way on at the end.

    The very first begins with a picture and the lab: all this comes after them.
    """
    assert len(COURSE) == 14
    for path in COURSE:
        first, last = cells(path)[path.name.startswith("00")], cells(path)[-1]
        for word in ("minutes", "you can", "**Sources.**", "**What the model leaves out:**"):
            assert word in first or "you have written" in first, (path.name, word)
        assert "tated" in first
        assert "nferred" in first
        assert "## Questions" in last
        assert "**On:**" in last
        questions, _, answers = last.partition("## Questions")[2].partition("<details>\n<summary>Answers</summary>\n\n")
        assert len(re.findall(r"^- ", questions, re.M)) <= len(re.findall(r"^- ", answers, re.M)), path.name
        assert "\n\n</details>\n\n**On:**" in answers, path.name


def test_cells_are_short():
    """A cell of code is a few lines; the one skeleton is what the learner writes."""
    for path in COURSE:
        long = [code for code in cells(path, "code") if len(code.splitlines()) > 10 and "class MyNic" not in code]
        assert long == [], path.name


@pytest.mark.parametrize(("scene", "rule"), claimed(BREAKS))
def test_what_is_said_to_break_breaks(scene, rule):
    """In the scene's own story; the search agrees where it is named for that rule."""
    assert rule in RULES
    run = Run(find(scene)).told(5000)
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


def test_an_explorer_comes_after_the_words_that_say_what_to_press():
    """Nobody scrolls back: above each explorer stands an instruction, and not below it alone."""
    shows = re.compile(r"(Lab|DesignsLab|this_machine|Predict)\([^\n]*\)$")
    for path in COURSE:
        made = json.loads(path.read_text())["cells"]
        for above, below in itertools.pairwise(made):
            if below["cell_type"] == "code" and shows.search("".join(below["source"])):
                assert above["cell_type"] == "markdown", (path.name, below["source"])


def test_what_is_to_be_predicted_is_not_answered_before_it_is():
    """The text below a cell can be read before the cell is run, so the answer there is folded away."""
    for path in COURSE:
        made = json.loads(path.read_text())["cells"]
        for number, asks in enumerate(made):
            text = "".join(asks["source"])
            if (
                asks["cell_type"] != "markdown"
                or not re.search(r"\bPredict (?!and)|: predict ", text)
                or path.stem[:2] in ("09", "12", "13")
            ):
                continue
            below = next(("".join(c["source"]) for c in made[number + 1 :] if c["cell_type"] == "markdown"), "")
            if path.stem[:2] == "01" and below.startswith("Each character"):
                below = "".join(made[number + 4]["source"])
            if path.stem[:2] == "08":
                assert not re.search(r"\b\d+ of 50\b", below)
                continue
            assert below.startswith("<details>"), (path.name, text[-80:], below[:60])


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
    assert [reach_verdict(machine, "03:00.0", client, RFC2019).distance for client in ("04:00.0", "08:00.0")] == [4, -1]
    today = [reach_verdict(machine, "03:00.0", client).map_type for client in ("04:00.0", "08:00.0")]
    assert today == ["BUS_ADDR", "NOT_SUPPORTED"]
    assert reach_verdict(with_cpu(machine, "zen"), "03:00.0", "08:00.0").map_type == "THRU_HOST_BRIDGE"
    redirected = with_acs(read_machine("q35_switch1"), {"02:00.0": 0x1C})
    assert reach_verdict(redirected, "03:00.0", "04:00.0").map_type == "NOT_SUPPORTED"
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


def test_the_window():
    """04: while the callback sleeps the access works; a fault at the place that memory moves to waits."""
    for operation in ("munmap_part", "mprotect_r", "mprotect_none", "unmap_mapping_range"):
        assert window(operation, "device").during == "works", operation
    assert window("mprotect_none", "device").after == "gets SIGSEGV"
    assert window("mremap_move", "anon", page=38).during.startswith("waits (mmap_lock")
    assert "no window" in str(window("fork", "device"))


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
        "two-rules": ["defrag-obedient HOLDS", "defrag-ignorant with pages=1 BREAKS obedience"],
        "only-false": ["72 pairs of q35_switch2: as posted 0 say yes, as intended 4"],
        "same-engine": ["no redirection         reachable", "redirected by 02:00.0  refused", "not compared"],
        "test-more": ["No run decides this", "2019 4 reachable; today 4 with an Intel CPU, 72 with an AMD Zen"],
        "who-calls": ["p2p_map set by nobody", "p2p_map called by nobody"],
        "set-in-mmap": ["p2p_map set by gpu", "hmm calls gpu.p2p_map"],
        "core-calls": ["p2p_map set by hmm", "mm calls hmm.p2p_map"],
        "no-pin": ["0xe8003000", "0xe8001000"],
        "serialise": ["BREAKS no-map-while-moving", "HOLDS in every order"],
        "for-one-device": ["BROKEN: own-address"],
        "unplug": ["BROKEN: gone-means-nobody", "p2p_map failed, -ENODEV"],
        "permission": ["BROKEN: asked-each-time", "the two contradict"],
        "zap-tells": ["entries of A: 0", "GR3176", "CLEAR"],
        "no-gup": ["get_user_pages: -EFAULT", "pin_user_pages: -EFAULT"],
        "pins-fragment": ["largest free run"],
        "split-only": [
            "device's memory: vmas 1, middle unmapped 2, mapped again 3",
            "cache: vmas 1, middle unmapped 2, mapped again 1",
        ],
        "page-cost": ["256 MiB"],
        "vma-life": ["BROKEN: vma-alive"],
        "pin-until-unmap": [
            "pin-granted HOLDS in every order",
            "wirings with wiring=vma-dma-map-range-pin HOLDS",
            "importer=PinsUntilUnmap, pages=1 BREAKS obedience",
        ],
        "loop-skips": ["hmm_range_dma_map: 5 of 6, without 2, 3, 4"],
        "static-bar": ["HOLDS in every order", "p2p_map set by mm", "gpu calls mm.p2p_ioremap_device_memory"],
        "map-range": [
            "p2p_map set by gpu",
            "nic calls mm.vma_dma_map_range",
            "wirings with wiring=vma-dma-map-range HOLDS",
        ],
        "cap": ["refused later, share of maps: refuse 0.02, cap 0.00", "pages from main memory: refuse 0.00, cap 0."],
        "may-be-ram": ["gpu lends 2 pages of A from main memory: kept, and slower"],
        "no-vma": ["rfc-vma          refused: map -EFAULT", "dma-buf-dynamic  served"],
        "cpu-touch": ["nic had to map 2 pages again that are where they were"],
        "no-room-to-grow": ["-ENOSPC", "BROKEN: inside-bar"],
        "only-calls-tell": ["of 65 operations on device memory 49 tell nobody", "mremap_move", "zap_vma_ptes"],
        "predictable": ["BREAKS predictability", "HOLDS in every order"],
        "disasters": [
            "unplug     the next map fails with -ENODEV; promises broken: 0",
            "wants things moved",
        ],
        "block-layer": ["rfc-vma          refused: map -EFAULT", "p2pdma-pages     served, the exporter waits"],
        "edges-move": ["odp HOLDS in every order"],
        "when-it-fails": ["rfc-vma          map -ENOSPC; map again -ENOSPC; map -EREMOTEIO"],
        "three-uses": ["holds a reference: harm: 2 beats go astray", "marks what was written as dirty: served"],
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
    named = set(re.findall(r'evidence\("([\w-]+)"\)', code))
    assert named == set(CLAIMS)


@pytest.mark.parametrize(
    ("step", "words"),
    {21: "begins defrag", 22: "wants to move A", 24: "nic.invalidate_range_start", 26: "clears translations"}.items(),
)
def test_the_steps_that_are_named_are_those_of_the_run(step, words):
    """05: begins, wants to move, the notifier, clears."""
    assert words in " ".join(_said(step))


def test_the_rest_of_the_steps_that_are_named():
    """05: drained at 28, given back at 30, moved at 34; by step 31 nobody uses page 0 any more."""
    assert "nic gave 4 pages back" in _said(28)
    assert "p2p_unmap returned" in _said(30)
    assert "moved A" in _said(34)
    run = Run(find("defrag-obedient")).told()
    assert "no importer uses it" in str(follow_page(run, 31, 0))
    assert "nic uses 0xe8001000" in str(follow_page(run, len(run), 0))


def _said(step):
    run = Run(find("defrag-obedient")).told()
    world = [entry for entry in run.log if entry.step == step]
    return [phrase(entry.event) for entry in world]


def test_comply_and_fail():
    """06: 58 mistakes, 47 of them played and 29 in silence; app2 loses two pages."""
    assert len(CASES) == 58
    assert summary(CASES).endswith("47 broken ones were played, and it said nothing in 29")
    run = Run(find("defrag-ignorant")).told()
    lines = memory_text(memory_picture(run)).splitlines()
    assert sum("app2" in line and "DAMAGED" in line for line in lines) == 2


def test_the_story_that_the_search_shortens():
    """08: F10 is 48 steps long in its story; F2's beat is looked up at step 18 of the counterexample."""
    assert len(story_run(CASES["F10"])) == 48
    assert check(find("F10")).steps < 48
    counterexample = check(find("F2")).run
    assert any(line.startswith("  18 |") and "looks up a page" in line for line in columns(counterexample))


def test_what_is_said_of_the_designs():
    """10: who tells and moves, who waits, who revokes; who can be stopped for ever; where topology shows."""
    moves = {design: cell("move while mapped", design).answer for design in DESIGNS}
    assert [name for name in moves if moves[name].startswith("yes")] == [
        "rfc-vma",
        "dma-buf-dynamic",
        "hmm-interval",
        "two-pass",
        "hmm-dma-map",
        "drm-pagemap",
        "device-private-rdma",
    ]
    assert moves["p2pdma-pages"] == "no: it waits until nobody has it"
    assert moves["vfio-dma-buf"] == "no: revoked, and mapped again at the same place"
    keeps = {design: cell("importer may keep it", design).answer for design in DESIGNS}
    assert [name for name in keeps if "exporter waits" in keeps[name]] == ["p2pdma-pages", "vfio-dma-buf", "vfio-mmap"]
    where = {design: cell("topology check", design).answer for design in DESIGNS}
    assert [name for name in where if ": map -E" in where[name]] == [
        "rfc-vma",
        "p2pdma-pages",
        "hmm-dma-map",
        "drm-pagemap",
        "vfio-dma-buf",
        "vfio-mmap",
    ]
    assert [name for name in where if "main memory instead" in where[name]] == [
        "dma-buf-dynamic",
        "dma-buf-pinned",
        "device-private-rdma",
    ]


def test_an_importer_that_keeps_what_it_has():
    """10: at step 31 somebody loses bytes under the proposal, and under page references the exporter goes on."""
    said = {}
    for name in ("rfc-vma", "p2pdma-pages"):
        scene = find(f"design-{name}")
        said[name] = str(moment(Run(scene, {"importer": "keeps"}).told(), 31).said)
    assert said["rfc-vma"].endswith("app2 loses its bytes.")
    assert said["p2pdma-pages"] == "The GPU can go on: all pages put."


def test_two_cards_below_one_switch():
    """11: a tree alone decides what has no common bridge; four hops where it is said that nothing redirects."""
    code = next(text for text in cells(ROOT / "notebooks" / "11-your-own-machine.ipynb", "code") if "tree = " in text)
    space = {}
    exec(code.rpartition("\n")[0], space)  # noqa: S102  our own text
    pairs = reach_matrix(space["machine"], kernel=RFC2019)
    assert [pairs.rows[a][b].distance for a, b in ((1, 2), (2, 1), (0, 1), (0, 2))] == [None, None, -1, -1]
    known = with_acs(space["machine"], dict.fromkeys(["01:00.0", "02:00.0", "02:01.0", "03:00.0", "04:00.0"], 0))
    assert reach_verdict(known, "03:00.0", "04:00.0", RFC2019).distance == 4
    today = reach_verdict(known, "03:00.0", "04:00.0")
    assert (today.map_type, today.distance) == ("BUS_ADDR", 4)


def test_a_class_of_a_cell_is_saved_and_can_be_handed_in(tmp_path, own_folder):
    """12: in a real kernel, where a class has no file."""
    path = ROOT / "notebooks" / "12-your-own-drivers.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code"][:3]  # list, class, check
    notebook.cells.append(nbformat.v4.new_code_cell("from p2plab.course import hand_in\nhand_in('Ada')"))
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert "class MyNic(CallbackToWrite)" in (own_folder / "obey.py").read_text()
    assert "MyNic" in json.loads((tmp_path / "Ada.json").read_text())["sources"]["obey"]["source"]
