"""The page "my P2P does not work": each command on it is run, and prints the lines that the page shows."""

import re

import pytest

from tests.pci.build import RECORDED
from tests.pci.test_cli_pci import run

ROOT = RECORDED.parents[2]
PAGE = (ROOT / "docs" / "p2p-does-not-work.md").read_text()
BLOCKS = re.findall(r"```console\n\$ p2plab (.*)\n((?:.*\n)*?)```", PAGE)


@pytest.mark.parametrize(("command", "shown"), BLOCKS, ids=[command for command, _ in BLOCKS])
def test_what_the_page_shows_is_printed(command, shown, capsys, monkeypatch):
    """Line by line, in that order."""
    monkeypatch.chdir(ROOT)
    status, out, _ = run(capsys, *command.split())
    assert status in (0, 3)
    lines = iter(out.splitlines())
    for wanted in shown.splitlines():
        assert wanted in lines, wanted


def test_the_page_has_its_three_cases():
    """From a question to an answer each."""
    assert len(re.findall(r"^## (?!What)", PAGE, re.MULTILINE)) == 3
    assert len(BLOCKS) == 7
