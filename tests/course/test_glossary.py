"""One glossary: notebooks link it at each word's first use, and the stage says the same."""

import json
import re

import pytest

from p2plab.views.stage.labels import LABELS
from p2plab.views.stage.terms import TERMS
from tests.course.glossary import GLOSSARY, NOTEBOOKS, PLAIN, linked, words

#: What the stage also says of a word, by its kind there.
ON_STAGE = {
    "slot": "slot",
    "frame": "frame",
    "DMA engine": "DMA engine",
    "beat": "beat",
    "PTE": "pte",
    "mmap_lock": "lock:mmap_lock",
    "reservation lock": "lock:resv",
    "exporter": "exporter's driver",
    "importer": "importer's driver",
    "p2p_map": "call:p2p_map",
    "p2p_unmap": "call:p2p_unmap",
    "stale": "stale",
    "step": "step",
}
MEANING = {word.name: word.meaning for word in words()}


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.name)
def test_a_word_is_a_link_with_its_meaning_at_its_first_use(file):
    """As the glossary says it now. To write the links again: python -m tests.course.glossary."""
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    assert cells == linked(cells)


def test_each_word_is_there_once_and_has_a_meaning():
    """A heading of its own, so that a link can lead to it; in the title of a link nothing that would end it."""
    names = [word.name for word in words()]
    assert len(names) == len(set(names)) == len(re.findall(r"^### ", GLOSSARY.read_text(encoding="utf-8"), re.M))
    assert len({word.anchor for word in words()}) == len(names)
    assert [word.name for word in words() if not word.meaning.endswith(".") or '"' in word.meaning] == []
    assert set(names) >= PLAIN


def test_the_stage_says_the_same_of_a_word():
    """The glossary may say more after it. A kind of thing on the stage that is a word of the glossary is compared."""
    for name, kind in ON_STAGE.items():
        said = TERMS[kind][0].removeprefix(f"{name}: ")
        assert MEANING[name].lower().startswith(said.lower()), name
    named = {kind.rpartition(":")[2] for kind in TERMS if kind != "call:pin"} & set(MEANING)  # the call, not the pin
    assert named <= set(ON_STAGE)


def test_what_a_button_calls_otherwise_is_in_the_table_of_two_spellings():
    """With the name that code and columns of text have."""
    table = GLOSSARY.read_text(encoding="utf-8").partition("## One thing, two spellings")[2]
    for name, label in LABELS.items():
        assert f"| *{label}* | `{name}` |" in table
