"""The matrix: every cell that a run decides is replayed from its token, and its answer read anew."""

import json
from dataclasses import replace

import pytest

from p2plab import find
from p2plab.cli import main
from p2plab.core.token import open_token
from p2plab.designs import DESIGNS, SCENES, scene_of
from p2plab.designs.classes import CLASSES, classes
from p2plab.designs.matrix import QUESTIONS, matrix
from p2plab.designs.readings import served
from p2plab.designs.struct_page import uses
from p2plab.views.designs_text import matrix_text
from tests.golden import golden

CELLS = [cell for row in matrix().values() for cell in row]
DECIDED = [cell for cell in CELLS if cell.tokens]


def test_every_question_of_the_table_is_asked_of_every_design():
    """Sixteen questions, seven designs; three questions are a matter of definition, which only a source can answer."""
    assert list(matrix()) == list(QUESTIONS)
    assert all(list(design.answers) == list(QUESTIONS) for design in DESIGNS.values())
    assert len(CELLS) == 16 * 7
    only_said = {cell.question for cell in CELLS if not cell.tokens}
    assert only_said == {"exporter object", "importer handle", "predictability promise"}
    assert all(cell.source for cell in CELLS)


@pytest.mark.parametrize("cell", DECIDED, ids=lambda cell: f"{cell.question}: {cell.design}")
def test_a_cell_is_replayed_from_its_tokens(cell):
    """The token alone gives the log, and the log alone the answer."""
    logs = [open_token(token, find).log for token in cell.tokens]
    read = QUESTIONS[cell.question].read
    assert read is not None
    assert read(*logs) == cell.answer


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
    "learns of a move by": (
        "invalidate_range_start", "never", "move_notify", "never", "invalidate", "invalidate", "invalidate_mappings"
    ),
    "importer may keep it": ("no:", "in effect yes", "no:", "yes:", "no:", "no:", "in effect yes"),
    "callback may sleep": ("yes", "-", "yes", "-", "yes", "yes", "yes"),
    "lock around callback": ("i_mmap", "-", "A.resv", "-", "mmap_lock", "mmap_lock", "memory_lock+A.resv"),
    "lock around map": ("mmap_lock", "none", "A.resv", "A.resv", "nic.lock", "nic.lock", "A.resv"),
    "move while mapped": ("yes", "no", "yes", "no", "yes", "yes", "no: revoked"),
    "cannot fault or stop": (
        "excluded", "served", "main memory", "served", "excluded", "excluded", "revocable"
    ),
    "struct page needed": ("no", "yes", "no", "no", "yes", "yes", "no"),
    "granularity of a take-back": (
        "any sub-range", "-", "whole buffer", "-", "any sub-range", "any sub-range", "whole buffer"
    ),
}  # fmt: skip


@pytest.mark.parametrize("question", AGREES)
def test_the_runs_agree_with_the_sources(question):
    """What the table says in words, the runs show; where they say more, it is noted with its reason."""
    for cell, words in zip(matrix()[question], AGREES[question], strict=True):
        assert words in cell.answer


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
        assert [fate.design for fate in row] == list(DESIGNS)
        for fate in row:
            if fate.token is None:
                assert fate.answer == "not served"
                assert fate.note
            else:
                assert served(open_token(fate.token, find).log) == fate.answer


def test_only_pages_serve_nvme_and_only_they_refuse_long_term_pins():
    """The two sides of the quarrel of January 2019, in one table."""
    table = classes()
    nvme = {fate.design: fate.answer for fate in table["NVMe"]}
    assert [design for design, answer in nvme.items() if answer.startswith("served")] == ["p2pdma-pages"]
    nic = {fate.design: fate.answer for fate in table["NIC that faults"]}
    assert [design for design, answer in nic.items() if answer.startswith("refused")] == ["p2pdma-pages"]


def test_a_page_without_one_of_its_uses():
    """Without an address nothing is mapped; without a reference memory goes away under DMA; dirty is not missed."""
    without = {use.use: use.without for use in uses()}
    assert without["all three"].startswith("served")
    assert without["carries a physical address"] == "refused: map -EREMOTEIO"
    assert without["holds a reference"] == "harm: 2 beats go astray"
    assert without["marks what was written as dirty"].startswith("served")
    assert without["none of them"] == "refused: map -EFAULT"
