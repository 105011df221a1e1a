"""`p2plab events`: the table of who is told, computed by running the model, against what was read off the recordings."""

import json
import re

import pytest

from p2plab.cli import main
from p2plab.core.errors import BadInput
from p2plab.mm import LINUX_6_1, LINUX_6_12, LINUX_7_3, RFC2019
from p2plab.mm.ask import _ELSEWHERE, Effect, Row, ask
from p2plab.mm.ask_changes import change
from p2plab.mm.ask_operations import OPERATIONS
from p2plab.mm.ask_specimen import KINDS
from p2plab.mm.kernel import RULES, TODAY, Kernel
from p2plab.views.mm_text import before_and_after, locks_text, table


def ask_all(kernel: Kernel = TODAY) -> list[Effect]:
    """Every operation on every kind of memory that it can be asked about."""
    return [ask(operation, kind, kernel) for operation in OPERATIONS for kind in KINDS]


def short(operation, kind, **more):
    """(event, pages, lock) of each row."""
    return [(row.event, row.start, row.end, row.mmap_lock) for row in ask(operation, kind, **more).rows]


def each(event, lock, pages=16):
    return [(event, number, number + 1, lock) for number in range(pages)]


@pytest.mark.parametrize(
    ("operation", "kind", "expected"),
    [
        ("munmap_unpopulated", "device", [("UNMAP", 0, 16, "read")]),
        ("mmap_fixed", "device", [("UNMAP", 4, 8, "write")]),
        ("mprotect_unpopulated", "device", []),
        ("mprotect_same", "anon", []),
        ("mremap_move", "device", [("UNMAP", 0, 16, "write")] * 2),
        ("mremap_dontunmap", "anon", [("UNMAP", 0, 16, "write")]),
        ("mremap_shrink", "device", [("UNMAP", 10, 16, "read")]),
        ("madvise_dontneed", "device", []),
        ("madvise_dontneed_unpopulated", "anon", [("CLEAR", 0, 16, "none")]),
        ("madvise_remove", "file_shared", [("CLEAR", 4, 8, "none")]),
        ("write", "device", []),
        ("write_after_read", "file_private", each("CLEAR", "none")),
        ("swap_in", "anon", []),
        ("fork", "device", []),
        ("fork", "file_shared", []),
        ("fork", "anon", [("PROTECTION_PAGE", 0, 16, "write")]),
        ("fork_unpopulated", "anon", []),
        ("ftruncate", "file_shared", [("CLEAR", 6, 16, "none")] * 2),
        ("unmap_mapping_range", "device", [("CLEAR", 4, 8, "none")]),
        ("zap_vma_ptes", "device", [("CLEAR", 0, 16, "read")]),
        ("zap_vma_ptes", "anon", []),
        ("get_user_pages", "device", []),
        ("clear_refs", "device", [("SOFT_DIRTY", None, None, "write")]),
        ("mbind", "anon", each("CLEAR", "none")),
        ("numa_balancing", "device", []),
        ("oom_reaper", "device", []),
    ],
)
def test_the_table_says_what_was_recorded(operation, kind, expected):
    """Positives and negatives, as the recordings' own table has them."""
    assert short(operation, kind) == expected


@pytest.mark.parametrize(
    ("operation", "kind", "kernel", "locks"),
    [
        ("munmap", "device", LINUX_7_3, "mmap r"),
        ("mprotect_r", "device", LINUX_7_3, "mmap+vma w"),
        ("mprotect_r", "device", LINUX_6_1, "mmap w"),
        ("write_after_fork", "anon", LINUX_7_3, "vma r"),
        ("write_after_fork", "anon", LINUX_6_1, "mmap r"),
        ("madvise_dontneed", "anon", LINUX_7_3, "vma r"),
        ("madvise_dontneed", "anon", LINUX_6_12, "mmap r"),
        ("unmap_mapping_range", "device", LINUX_7_3, "i_mmap r"),
        ("mbind", "anon", LINUX_7_3, "anon_vma r"),
        ("madvise_collapse", "thp", LINUX_7_3, "mmap+vma+anon_vma w"),
    ],
)
def test_no_mmap_lock_is_not_no_lock(operation, kind, kernel, locks):
    """The VMA's own lock, i_mmap_rwsem and anon_vma's are named; the kernel's functions say which of them is held."""
    assert {locks_text(row) for row in ask(operation, kind, kernel).rows} == {locks}


def test_only_the_reaper_may_not_block():
    """Blockable is false for it alone, over all operations and kinds."""
    unblockable = {answer.operation for answer in ask_all() if not all(row.blockable for row in answer.rows)}
    assert unblockable == {"oom_reaper"}


def test_exit_reaches_only_interval_notifiers_after_release():
    """RELEASE, release, and an UNMAP that the chain does not hear any more."""
    assert ask("exit", "device").rows == (
        Row("RELEASE", None, None, "none", True, ("interval",)),
        Row("release", None, None, "none", True, ("release",)),
        Row("UNMAP", None, None, "read", True, ("interval",), (("mmap", "read"),)),
    )


def test_versions_and_years_differ_where_they_should():
    """6.1 copies under mmap_lock; 2019 has no interval notifiers, and no event that it did not know."""
    assert short("write_after_fork", "anon", kernel=LINUX_6_1) == each("CLEAR", "read")
    for answer in ask_all(RFC2019):
        assert all(row.event in (*RFC2019.events, "release") for row in answer.rows), answer.operation
        assert all("interval" not in row.heard_by for row in answer.rows)
    for later in ("madvise_pageout", "madvise_populate", "madvise_collapse", "mremap_dontunmap"):
        assert ask(later, "anon", RFC2019).returned.startswith("-EINVAL"), later


def test_every_operation_names_its_source():
    """A file of the kernel, for each row of the table."""
    for operation in OPERATIONS.values():
        assert operation.source.split()[0].endswith(".c") or "/" in operation.source, operation.name


def test_the_picture_shows_the_range_over_the_memory():
    """Before, the range of each event, after: one character a page."""
    picture = """\
munmap_part of device memory (Linux 7.3): 0
  before |################|
  UNMAP  |    ====        | UNMAP [4, 8)
  after  |####    ########|
  pages 0 to 16, one page a character
"""
    assert before_and_after(ask("munmap_part", "device")) == picture
    assert "none   |" in before_and_after(ask("fork", "device"))


def test_the_table_names_the_negatives():
    """A row that says none, with what the call returned."""
    text = table([ask("madvise_dontneed", "device"), ask("madvise_dontneed", "anon")])
    assert text.splitlines()[2:4] == [
        "  device       none               -               -                   -EINVAL",
        "  anon         CLEAR              [0, 16)         vma r               ok",
    ]
    assert max(map(len, table(ask_all()).splitlines())) <= 79


def test_the_command(capsys):
    """A list to pick from, one answer, all kinds, JSON, and exit status 2 with what there is."""
    assert main(["events"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in (*OPERATIONS, *KINDS))
    assert main(["events", "fork", "device"]) == 0
    assert "none" in capsys.readouterr().out
    assert main(["events", "munmap", "--json", "--kernel", "6.1"]) == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert [answer["kind"] for answer in answers] == list(KINDS)
    assert answers[0]["rows"][0]["event"] == "UNMAP"
    assert main(["events", "fork", "thp", "--picture"]) == 0
    capsys.readouterr()
    for wrong in (["events", "nothing"], ["events", "fork", "disk"], ["events", "fork", "--kernel", "7"]):
        assert main(wrong) == 2
        assert re.search("there are|lists them", capsys.readouterr().err)


def test_what_does_not_exist_is_named():
    """BadInput that says where the list is; a name that is nearly right gets the nearest."""
    with pytest.raises(BadInput, match="did you mean munmap, "):
        ask("munmpa", "anon")
    with pytest.raises(BadInput, match="`p2plab events` lists them"):
        ask("nothing", "anon")


def test_what_changed_is_said_with_its_source(capsys):
    """6.1, 6.12 and 7.3 beside each other; the rule that makes the difference is found by trying, and named."""
    found = change("madvise_dontneed", "anon")
    assert [locks_text(answer.rows[0]) for answer in found.answers] == ["mmap r", "mmap r", "vma r"]
    assert [[rule.name for rule in rules] for rules in found.rules] == [[], ["madvise_vma_lock"]]
    assert change("fork", "device") is None
    assert main(["events", "--changes", "madvise_dontneed", "anon"]) == 0
    assert capsys.readouterr().out.splitlines()[:6] == [
        "madvise_dontneed of anon memory: drop the pages",
        "  6.1    CLEAR              [0, 16)         mmap r",
        "  6.12   the same",
        "  7.3    CLEAR              [0, 16)         vma r",
        "         since 6.17: DONTNEED and FREE of one VMA's pages under the VMA's own",
        "           lock instead of mmap_lock (mm/madvise.c try_vma_read_lock)",
    ]
    assert main(["events", "--changes", "fork", "device"]) == 0
    assert "alike" in capsys.readouterr().out
    assert main(["events", "--changes", "munmap", "--kernel", "6.1"]) == 2
    assert "neither --kernel nor --picture" in capsys.readouterr().err


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_that_versions_differ_in_names_since_when_and_where(rule):
    """A version, and a file of the kernel."""
    assert rule.since[0].isdigit()
    assert ".c " in rule.source or rule.source.endswith(".c")
    assert rule.what


@pytest.mark.parametrize(
    ("operation", "kind", "expected", "returned"),
    [
        ("guard_install", "anon", [("CLEAR", 4, 8, "none")], "0"),
        ("guard_install_unpopulated", "anon", [], "0"),
        ("guard_install", "device", [], "-EINVAL"),
        ("process_madvise", "anon", [("CLEAR", 4, 8, "none")], "0"),
        ("mseal", "device", [], "0"),
        ("munmap_sealed", "device", [], "-EPERM"),
        ("pkey_mprotect", "device", [("PROTECTION_VMA", 4, 8, "write")], "0"),
        ("mlock2_onfault", "anon", [], "0"),
        ("mlockall", "device", [], "0"),
        ("remap_file_pages", "device", [("UNMAP", 4, 8, "write")], "0"),
        ("remap_file_pages", "anon", [], "-EINVAL"),
        ("proc_mem_write", "anon", [("CLEAR", number, number + 1, "read") for number in range(4, 8)], "4 pages"),
        ("proc_mem_write", "device", [], "-EIO"),
        ("process_vm_writev", "device", [], "-EFAULT"),
        ("msync", "device", [], "-EINVAL"),
        ("uffd_register", "device", [], "-EINVAL"),
        ("uffd_copy", "anon", [], "0"),
        ("uffd_writeprotect", "anon", [("PROTECTION_VMA", 0, 16, "read")], "0"),
        ("uffd_move", "anon", [("CLEAR", 0, 4, "none")], "0"),
        ("uffd_writeprotect", "hugetlb", [], "unknown"),
        ("munmap_part", "hugetlb", [], "-EINVAL"),
        ("fork", "hugetlb", [("CLEAR", 0, 1024, "write")], "0"),
        ("mprotect_unpopulated", "hugetlb", [("PROTECTION_VMA", 0, 1024, "write")], "0"),
        ("mremap_move", "hugetlb", [("CLEAR", 0, 1024, "write"), ("UNMAP", 0, 1024, "write")], "0"),
    ],
)
def test_what_is_less_everyday_is_known_too(operation, kind, expected, returned):
    """Events, ranges, locks and return values, as recorded."""
    assert short(operation, kind) == expected
    answered = ask(operation, kind).returned.split(":")[0]
    assert answered == returned or (returned == "0" and answered.startswith("0"))


def test_a_source_is_a_function_of_the_kernel_that_was_asked():
    """6.1 has no mm/vma.c, and mprotect's event elsewhere; what was not read in 5.0 says so."""
    assert ask("munmap", "device", LINUX_6_1).source == "mm/mmap.c do_mas_align_munmap"
    assert ask("munmap", "device", RFC2019).source == "mm/mmap.c __do_munmap"
    assert ask("mprotect_r", "device", LINUX_6_1).source == "mm/mprotect.c change_pmd_range"
    assert ask("mprotect_r", "device", RFC2019).source == "mm/mprotect.c change_pmd_range (of 6.1, inferred)"
    assert ask("zap_vma_ptes", "device", LINUX_6_12).source == "mm/memory.c zap_vma_ptes"
    for kernel in (LINUX_6_1, RFC2019):
        assert not any("mm/vma.c" in ask(operation, "device", kernel).source for operation in OPERATIONS)


def test_every_exception_is_of_a_source_that_is_named_today():
    """No entry of the table of other kernels' functions stands for a source that no operation has."""
    assert set(_ELSEWHERE) <= {operation.source for operation in OPERATIONS.values()}
