"""The matrix: every cell that a run decides is replayed from its token, and its answer read anew."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from p2plab import find
from p2plab.cli import main
from p2plab.core.errors import BadInput
from p2plab.core.kernels import NAMES
from p2plab.core.token import open_token
from p2plab.designs import DESIGNS, SCENES, scene_of
from p2plab.designs.classes import CLASSES, classes, fate
from p2plab.designs.matrix import QUESTIONS, cell, changes, matrix
from p2plab.designs.readings import served
from p2plab.designs.struct_page import uses
from p2plab.views.designs_text import matrix_text
from tests.golden import golden

CELLS = [one for row in matrix().values() for one in row]
DECIDED = [one for one in CELLS if one.tokens]


def test_every_question_of_the_table_is_asked_of_every_design():
    """Sixteen questions each; three are a matter of definition, which only a source can answer."""
    assert list(matrix()) == list(QUESTIONS)
    assert all(list(design.answers) == list(QUESTIONS) for design in DESIGNS.values())
    assert len(CELLS) == 16 * len(DESIGNS)
    only_said = {one.question for one in CELLS if not one.tokens}
    assert only_said == {"exporter object", "importer handle", "predictability promise"}
    assert all(one.source for one in CELLS)


ROOT = Path(__file__).parents[2]
LISTED = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
#: file -> function -> the kernels whose source has it.
FUNCTIONS = {
    row[0]: dict(re.findall(r"`([\w ]+)` \((.*?)\)(?:;| \|)", row[1]))
    for row in re.findall(r"^\| `([\w/.-]+\.[ch])` (\|.*\|)$", LISTED, re.M)
}
MAILS = set(re.findall(r"^\| `(\S+@\S+)` \|", LISTED, re.M))


def is_listed(source, kernel):
    """Whether docs/sources.md has the source, for that kernel."""
    if source in MAILS:
        return True
    file, _, functions = source.removesuffix(")").partition(" (")
    known = FUNCTIONS.get(file, {})
    asked = functions.split(", ")
    return all(name in known and kernel in re.findall(r"[\w.]+", known[name]) for name in asked)


@pytest.mark.parametrize("kernel", ["", *NAMES, "6.19"])
def test_each_cell_names_a_kernel_and_a_source_that_is_listed(kernel):
    """The kernel is the design's own or the one that was asked for; each source of the cell stands in docs/sources.md."""
    cells = [cell(question, design, kernel) for question in QUESTIONS for design in DESIGNS]
    fates = [fate(importer, design, kernel) for importer in CLASSES for design in DESIGNS]
    for found in (*cells, *fates):
        design = DESIGNS[found.design]
        of = found.kernel.partition(" + ")[0]
        assert of == (kernel or design.newest)
        if of in design.kernels:
            assert found.kernel == design.label(of)
            assert [source for source in found.source.split("; ") if not is_listed(source, of)] == [], found


def test_what_was_true_in_a_kernel():
    """Nothing of today's in January 2019; VFIO's dma-buf and hmm_dma_map_pfn not in 6.12; the proposal in none that came."""
    there = {kernel: [one.design for one in matrix(kernel)["exporter object"] if not one.absent] for kernel in NAMES}
    assert there["rfc2019"] == ["rfc-vma"]
    assert there["6.1"] == ["dma-buf-dynamic", "dma-buf-pinned", "hmm-interval"]
    assert there["6.12"] == ["p2pdma-pages", "dma-buf-dynamic", "dma-buf-pinned", "hmm-interval"]
    assert {"hmm-dma-map", "vfio-dma-buf"} <= set(there["7.3"])
    assert "rfc-vma" not in there["7.3"]
    assert cell("lifetime", "hmm-dma-map", "6.12").answer == "not in 6.12: came with v6.16"
    with pytest.raises(BadInput, match=r"no kernel '5\.4'"):
        matrix("5.4")


def test_a_change_between_two_kernels_has_both_answers_and_both_runs():
    """Each is a difference in answer or source; where a run decides, both tokens replay."""
    found = {(change.before.question, change.before.design): change for change in changes()}
    renamed = found["learns of a move by", "dma-buf-dynamic"]
    assert (renamed.before.answer, renamed.after.answer) == ("move_notify", "invalidate_mappings")
    assert (renamed.before.kernel, renamed.after.kernel) == ("6.12", "7.3")
    waits = found["importer may keep it", "vfio-dma-buf"]
    assert (waits.before.answer, waits.before.kernel) == ("no", "6.19")
    assert "the exporter waits until it unmaps" in waits.after.answer
    for change in found.values():
        assert change.before.design == change.after.design
        for one in (change.before, change.after):
            read = QUESTIONS[one.question].read
            assert read is None or read(*(open_token(token, find).log for token in one.tokens)) == one.answer


def test_the_command_shows_one_kernel_or_the_changes(capsys):
    """Text within 72 columns but for tokens, JSON with the kernel; both options at once are refused."""
    assert main(["designs", "--kernel", "6.12"]) == 0
    out = capsys.readouterr().out
    assert "What was true in 6.12." in out
    assert "not in 6.12: came with v6.16" in out
    assert max(map(len, out.splitlines())) <= 72
    assert main(["designs", "--kernel", "6.1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["kernel"] == "6.1"
    assert any(answer["absent"] for row in said["cells"] for answer in row["answers"])
    assert main(["designs", "--changes", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["changes"]) == len(changes())
    assert main(["designs", "--changes"]) == 0
    assert all(len(line) <= 72 or "p2p1." in line for line in capsys.readouterr().out.splitlines())
    assert main(["designs", "--changes", "--kernel", "6.1"]) == 2
    assert main(["designs", "--kernel", "5.4"]) == 2


@pytest.mark.parametrize("decided", DECIDED, ids=lambda one: f"{one.question}: {one.design}")
def test_a_cell_is_replayed_from_its_tokens(decided):
    """The token alone gives the log, and the log alone the answer."""
    logs = [open_token(token, find).log for token in decided.tokens]
    read = QUESTIONS[decided.question].read
    assert read is not None
    assert read(*logs) == decided.answer


def test_the_text_is_as_it_was(capsys):
    """At most 72 columns, ASCII, to the letter."""
    assert main(["designs"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 72
    assert out.isascii()
    golden("designs.txt", out)


def test_the_json_has_for_each_question_an_answer_a_design(capsys):
    """`designs`, `cells`, and in each answer `design`, `answer`, `token` or null, `source`."""
    assert main(["designs", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    names = [design["name"] for design in said["designs"]]
    assert names == list(DESIGNS)
    for row in said["cells"]:
        assert [answer["design"] for answer in row["answers"]] == names
        assert all({"answer", "token", "source"} <= set(answer) for answer in row["answers"])


#: Words of which the answer has at least one, for each cell that the table decides in the same words.
AGREES = {
    "rfc-vma": {
        "learns of a move by": "invalidate_range_start", "importer may keep it": "no:", "callback may sleep": "yes",
        "lock around callback": "i_mmap", "lock around map": "mmap_lock", "move while mapped": "yes",
        "cannot fault or stop": "excluded", "struct page needed": "no", "granularity of a take-back": "any sub-range",
    },
    "p2pdma-pages": {
        "learns of a move by": "never", "importer may keep it": "in effect yes", "callback may sleep": "-",
        "lock around callback": "-", "lock around map": "none", "move while mapped": "no",
        "cannot fault or stop": "served", "struct page needed": "yes", "granularity of a take-back": "-",
    },
    "dma-buf-dynamic": {
        "learns of a move by": "invalidate_mappings", "importer may keep it": "no:", "callback may sleep": "yes",
        "lock around callback": "A.resv", "lock around map": "A.resv", "move while mapped": "yes",
        "cannot fault or stop": "device memory", "struct page needed": "no",
        "granularity of a take-back": "whole buffer",
    },
    "dma-buf-pinned": {
        "learns of a move by": "never", "importer may keep it": "yes:", "callback may sleep": "-",
        "lock around callback": "-", "lock around map": "A.resv", "move while mapped": "no",
        "cannot fault or stop": "device memory", "struct page needed": "no", "granularity of a take-back": "-",
    },
    "hmm-interval": {
        "learns of a move by": "invalidate", "importer may keep it": "no:", "callback may sleep": "yes",
        "lock around callback": "mmap_lock", "lock around map": "nic.lock", "move while mapped": "yes",
        "cannot fault or stop": "excluded", "struct page needed": "yes", "granularity of a take-back": "any sub-range",
    },
    "hmm-dma-map": {
        "learns of a move by": "invalidate", "importer may keep it": "no:", "callback may sleep": "yes",
        "lock around callback": "mmap_lock", "lock around map": "nic.lock", "move while mapped": "yes",
        "cannot fault or stop": "excluded", "struct page needed": "yes", "granularity of a take-back": "any sub-range",
    },
    "vfio-dma-buf": {
        "learns of a move by": "invalidate_mappings", "importer may keep it": "in effect yes",
        "callback may sleep": "yes", "lock around callback": "memory_lock+A.resv", "lock around map": "A.resv",
        "move while mapped": "no: revoked", "cannot fault or stop": "revocable", "struct page needed": "no",
        "granularity of a take-back": "whole buffer",
    },
    "two-pass": {
        "learns of a move by": "invalidate_start", "importer may keep it": "no:", "callback may sleep": "yes",
        "move while mapped": "yes", "cannot fault or stop": "excluded", "struct page needed": "yes",
    },
    "drm-pagemap": {
        "learns of a move by": "invalidate", "importer may keep it": "no:", "move while mapped": "yes",
        "cannot fault or stop": "excluded", "topology check": "device_map: map -EFAULT", "struct page needed": "yes",
    },
    "device-private-rdma": {
        "learns of a move by": "invalidate", "move while mapped": "yes",
        "topology check": "get_dma_pfn_for_device: main memory instead", "cannot fault or stop": "excluded",
    },
    "vfio-mmap": {
        "learns of a move by": "invalidate_mappings", "importer may keep it": "in effect yes",
        "move while mapped": "no: revoked", "lock around callback": "memory_lock+A.resv",
    },
}  # fmt: skip


@pytest.mark.parametrize("design", DESIGNS)
def test_the_runs_agree_with_the_sources(design):
    """What the table says in words, the runs show; where they say more, it is noted with its reason."""
    for question, words in AGREES[design].items():
        assert words in cell(question, design).answer, question


def test_an_eighth_design_is_in_every_table(monkeypatch):
    """What a design says stands in its DESIGN alone: questions, classes, text and JSON take it from there."""
    eighth = replace(DESIGNS["rfc-vma"], name="eighth")
    monkeypatch.setitem(DESIGNS, "eighth", eighth)
    monkeypatch.setitem(SCENES, eighth.scene, scene_of(eighth))
    assert all(row[-1].design == "eighth" and row[-1].answer == row[0].answer for row in matrix().values())
    assert all(row[-1].answer == row[0].answer for row in classes().values())
    assert sum(line.startswith("  eighth ") for line in matrix_text(matrix())) == 1 + len(QUESTIONS)


def test_every_class_of_importer_has_a_fate_under_every_design():
    """Read from a run, replayed from its token; or no such importer exists, and the note says why."""
    table = classes()
    assert tuple(table) == CLASSES
    for row in table.values():
        assert [one.design for one in row] == list(DESIGNS)
        for one in row:
            if one.token is None:
                assert one.answer == "not served"
                assert one.note
            else:
                assert served(open_token(one.token, find).log) == one.answer


def test_only_pages_serve_nvme_and_only_they_refuse_long_term_pins():
    """The two sides of the quarrel of January 2019, in one table. A region that faults is no pin, and is served."""
    table = classes()
    nvme = {one.design: one.answer for one in table["NVMe"]}
    assert [design for design, answer in nvme.items() if answer.startswith("served")] == ["p2pdma-pages"]
    nic = {one.design: one.answer for one in table["NIC that can be stopped"]}
    assert [design for design, answer in nic.items() if answer.startswith("refused")] == ["p2pdma-pages"]
    assert nic["p2pdma-pages"] == "refused: map -EREMOTEIO"
    odp = {one.design: one.answer for one in table["NIC that faults"]}
    assert odp["p2pdma-pages"].startswith("served")


def test_a_page_without_one_of_its_uses():
    """Without an address nothing is mapped; without a reference memory goes away under DMA; dirty is not missed."""
    without = {use.use: use.without for use in uses()}
    assert without["all three"].startswith("served")
    assert without["carries a physical address"] == "refused: map -EREMOTEIO"
    assert without["holds a reference"] == "harm: 2 beats go astray"
    assert without["marks what was written as dirty"].startswith("served")
    assert without["none of them"] == "refused: map -EFAULT"
