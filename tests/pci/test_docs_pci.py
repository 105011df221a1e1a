"""What the page on PCI shows is what happens."""

import doctest
import re
from pathlib import Path

import pytest

from p2plab.cli import main
from tests.pci.build import RECORDED

PAGE = RECORDED.parents[2] / "docs" / "pci.md"
DECISIONS = RECORDED.parents[2] / "DESIGN.md"


def test_the_examples_in_python_are_true():
    """Run and compared."""
    assert doctest.testfile(str(PAGE), module_relative=False) == (0, 3)


@pytest.mark.parametrize(
    "line", re.findall(r"^\$ p2plab ((?:machine|reach) q35[^#\n]*)", PAGE.read_text(), re.MULTILINE)
)
def test_the_commands_shown_work(line, capsys):
    """Each exits 0 and prints something."""
    assert main(line.split()) == 0
    assert capsys.readouterr().out


def test_every_name_of_what_is_not_modelled_is_explained():
    """The decisions list what conform can print."""
    names = set()
    for module in ("pci.py", "p2pdma.py"):
        text = (Path(main.__code__.co_filename).parents[1] / "conform" / module).read_text()
        names |= {name.split("{")[0].strip() for name in re.findall(r'not_modelled\[f?"([^"]+)"\]', text)}
    assert names
    assert [name for name in names if name.split(" recorded")[0] not in DECISIONS.read_text()] == []
