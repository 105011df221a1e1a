"""What each step ran of a driver, and what it changed of it: in the columns, in the test to paste, as data."""

import json
from pathlib import Path

import pytest

from p2plab import find
from p2plab.cli import main
from p2plab.core.run import Run
from p2plab.core.schedule import by_text
from p2plab.drivers.nic import ObedientNic
from p2plab.search import check
from p2plab.views.driver_lines import driver_steps
from p2plab.views.report import as_json, pytest_of, text
from p2plab.views.text import WIDTH

GOLDEN = Path(__file__).parent / "golden"

#: A driver of the reader's own: it counts what it hears, and obeys nothing.
MINE = """
from p2plab.drivers.nic import ObedientNic


def aligned(address):
    return address % 4096 == 0


class Mine(ObedientNic):
    def __init__(self, *given):
        super().__init__(*given)
        self._heard = 0

    async def map(self, start, end):
        assert aligned(start)
        sequence = await self.wait_until_valid()
        async with self.mm.mmap_lock.read():
            addresses = await self.p2p_map(start, end)
            await self.engine.program(start, addresses)

    async def invalidate_range_start(self, range):
        self._heard += 1
        return 0
"""


class Listens(ObedientNic):
    """Right, and it keeps a list of what it heard."""

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.events = []

    async def invalidate_range_start(self, range):
        self.events.append(range.event)
        return await super().invalidate_range_start(range)


def command(tmp_path, capsys, *words):
    (tmp_path / "mine.py").write_text(MINE)
    main(["check", "defrag-obedient", "--importer", f"{tmp_path}/mine.py:Mine", *words])
    return capsys.readouterr().out


def test_a_story_of_your_own_driver_has_its_lines(tmp_path, capsys):
    """File, line and text below each step, with what changed; and the same as comments in the test to paste."""
    said = command(tmp_path, capsys)
    said = said[said.index("step app") :]
    golden = GOLDEN / "own-driver-lines.txt"
    assert said == golden.read_text(encoding="utf-8")
    columns = said[: said.index("BROKEN")]
    assert max(map(len, columns.splitlines())) <= WIDTH


def test_lines_can_be_left_out(tmp_path, capsys):
    """``--no-lines``: the story as it was; the test to paste keeps its comments."""
    said = command(tmp_path, capsys, "--no-lines")
    assert "> mine.py" not in said
    assert "#     mine.py:16 sequence = await self.wait_until_valid()" in said


def test_lines_are_data_too(tmp_path, capsys):
    """Each step with its actor, file, number and text, and each attribute before and after."""
    found = json.loads(command(tmp_path, capsys, "--json"))
    (last,) = [step for step in found["lines"] if any(change["name"] == "_heard" for change in step["changes"])]
    assert last["actor"] == "gpu"
    assert [(line["file"], line["text"]) for line in last["lines"]] == [
        ("mine.py", "async def invalidate_range_start(self, range):")
    ]
    (heard,) = [change for change in last["changes"] if change["name"] == "_heard"]
    assert (heard["driver"], heard["before"], heard["after"]) == ("nic", "0", "1")


def test_a_shipped_driver_is_the_subject_only_if_asked(capsys):
    """``--lines``; without it the scene's story stays as short as it was."""
    main(["run", "defrag-obedient", "--schedule", "app*6 nic*8"])
    assert "> nic.py" not in capsys.readouterr().out
    main(["run", "defrag-obedient", "--schedule", "app*6 nic*8", "--lines"])
    said = capsys.readouterr().out
    assert "> nic.py" in said
    assert "= nic.lock: free -> held by nic" in said
    assert max(map(len, said.splitlines())) <= WIDTH


def test_the_line_is_the_one_whose_await_was_pending():
    """Whatever the step does then: the line is where the code waited before it."""
    run = Run(find("defrag-obedient").with_cast({"importer": Listens})).driven(by_text("app*6 nic*3"))
    said = {ran.step: [str(line) for line in ran.lines] for ran in driver_steps(run)}
    assert said[7] == ["nic.py:13 async def map(self, start: int, end: int) -> None:"]
    assert said[8] == ["nic.py:17 sequence = await self.wait_until_valid()"]
    assert said[9] == ["nic.py:18 async with self.mm.mmap_lock.read():"]


def test_your_line_goes_before_the_shipped_line_that_it_calls():
    """Within ``await super().…`` the reader's file is shown, not p2plab's."""
    run = Run(find("defrag-obedient").with_cast({"importer": Listens})).driven(by_text("app*6 nic*8 gpu*5"))
    last = list(driver_steps(run))[-1]
    assert [line.text for line in last.lines] == ["return await super().invalidate_range_start(range)"]
    assert last.lines[0].file == "test_driver_lines.py"


def test_a_changed_list_is_shown_whole_and_a_changed_dict_by_its_entries():
    """Few words for what came and what went."""
    run = Run(find("defrag-obedient").with_cast({"importer": Listens})).driven(by_text("app*6 nic*8 gpu*6"))
    said = [str(change) for ran in driver_steps(run) for change in ran.changes]
    assert "nic.events: [] -> ['CLEAR']" in said
    assert "nic.held: + 0x7f5555400000: 0xe8003000, + 0x7f5555401000: 0xe8004000, + 2 more" in said
    assert "nic.engine.table: - 0x7f5555400000, - 0x7f5555401000, - 2 more" in said


def test_looking_changes_nothing():
    """The log of a run is the same, with its lines drawn or not."""
    run = Run(find("defrag-obedient").with_cast({"importer": Listens})).driven(by_text("app*6 nic*8 gpu*6"))
    before = run.log
    assert list(driver_steps(run))
    assert Run(run.scenario, run.settings, run.schedule).log == before


@pytest.mark.parametrize("lines", [None, False])
def test_a_story_of_shipped_drivers_has_none(lines):
    """Neither in the text nor in the data."""
    answer = check(find("defrag-ignorant"))
    assert "\n     > " not in text(answer, lines)
    assert as_json(answer, lines)["lines"] == []
    assert "    # " not in pytest_of(answer)
