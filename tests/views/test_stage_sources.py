"""What the stage names when it is asked, and where that is written; what a real kernel made of the scene."""

import dataclasses
import re
from pathlib import Path

import pytest

import p2plab
from p2plab.catalog import CASES
from p2plab.core.run import Run
from p2plab.drivers.pinned import PinsUntilUnmap
from p2plab.everything import SCENES, find
from p2plab.views.stage.linux import linux_json
from p2plab.views.stage.terms import MESSAGE_ID, TERMS, linked
from p2plab.views.stage.wire import run_json, scene_json

ROOT = Path(p2plab.__file__).parents[1]


@pytest.mark.parametrize("name", SCENES)
def test_every_call_lock_and_role_of_a_scene_has_a_name_and_a_source(name):
    """Calls by the name of the function; a lock that is the kernel's by its name, else it is said to be the driver's own."""
    made = run_json(p2plab.run(name))
    assert {call[2] for call in made["calls"]} <= {kind[5:] for kind in TERMS if kind.startswith("call:")}
    assert {role for _lane, role in made["lanes"]} - {""} <= TERMS.keys()
    locks = {mark[4].rpartition(".")[2] for mark in made["marks"] if mark[1] == "lock"}
    assert locks <= {kind[5:] for kind in TERMS if kind.startswith("lock:")} | {"lock", "bar", "maps"}


def test_a_term_s_source_is_a_file_or_a_mail_that_the_project_knows():
    """Modules of the model exist; each mail is cited where the rule of it was written down."""
    elsewhere = "\n".join(
        file.read_text(encoding="utf-8") for file in (ROOT / "p2plab").rglob("*.py") if file.name != "terms.py"
    )
    for what, source in TERMS.values():
        assert what
        file = source.partition(" ")[0]
        if file.startswith("p2plab/"):
            assert (ROOT / file).exists(), source
        elif MESSAGE_ID.fullmatch(file):
            assert file in elsewhere, source
        else:
            assert re.match(r"(include|mm|drivers)/[\w/-]+\.[ch]\b", file), source


def test_only_mails_are_links():
    """A file and a mail in one source: the mail leads to the list's archive, the file is words."""
    mail = "20190129165428.3931-6-jglisse@redhat.com"
    assert linked(f"mm/mmu_notifier.c; {mail}") == [
        ["mm/mmu_notifier.c; ", ""],
        [mail, f"https://lore.kernel.org/linux-mm/{mail}/"],
    ]


def test_a_rule_s_source_is_that_of_the_kernel_of_the_run():
    """A scene of 2019 cites the mm/mmap.c of then."""
    made = scene_json(p2plab.run("f3-takes-mmap-lock"))
    assert made["rules"]["stays-out-of-mm"][1] == [["mm/mmap.c (__do_munmap)", ""]]


@pytest.mark.parametrize("code", CASES)
def test_every_case_of_the_catalogue_says_what_a_real_kernel_made_of_it(code):
    """Played or not, with either driver; what the kernel said is not more than what the record says."""
    scene = CASES[code].scenario
    for driver in ("broken", "good"):
        said = linux_json(p2plab.run(scene.name, driver=driver))
        assert said is not None
        assert said["chip"].startswith("Linux 6.12: ")
        assert said["tone"] in ("silent", "complains", "idle")
        assert (said["tone"] == "idle") == ("not played" in said["chip"])


def test_the_chip_says_what_the_kernel_said_and_no_more():
    """Silence, a complaint, several; silence is no proof, and the words say so."""
    assert linux_json(p2plab.run("F2"))["chip"] == "Linux 6.12: silent"
    assert "no proof" in str(linux_json(p2plab.run("F2"))["lines"])
    assert linux_json(p2plab.run("F1"))["chip"] == "Linux 6.12: DMA-API leak"
    assert linux_json(p2plab.run("F4"))["chip"] == "Linux 6.12: hung task nic, 1 more"
    assert linux_json(p2plab.run("workbench")) is None


def test_a_run_that_was_not_played_so_does_not_borrow_the_verdict():
    """Other knobs than the play's, or a driver of one's own: the chip says that this was not played."""
    said = linux_json(p2plab.run("F1", iommu="on"))
    assert said["chip"] == "Linux 6.12: not played so"
    assert "has iommu=on" in str(said["lines"])
    scene = find("F1")
    mine = type("MyNic", (PinsUntilUnmap,), {})
    own = Run(dataclasses.replace(scene, cast={"importer": mine}))
    assert linux_json(own)["chip"] == "Linux 6.12: not played so"
