"""Links of docs and notebooks: those inside the project lead to a file and a heading, those outside have a known form."""

import json
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")])
LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?\)")
#: Where the project's outside links lead. A mail's address is formed from its Message-ID.
ABROAD = re.compile(
    r"https://(lore\.kernel\.org/linux-mm/[\w.+=-]+@[\w.-]+/"
    r"|elixir\.bootlin\.com/linux/v(5\.0|6\.12)/source/[\w./-]+\.[ch]"
    r"|docs\.kernel\.org/[\w./-]+\.html|lwn\.net/Articles/\d+/|git\.kernel\.org/torvalds/c/[0-9a-f]{12,40})$"
)
COURSE = [page for page in PAGES if page.suffix == ".ipynb" and page.name[:2].isdigit()]


@cache
def blocks(page: Path) -> tuple[str, ...]:
    """The prose of a page: of a notebook its Markdown cells, without code between fences."""
    if page.suffix == ".ipynb":
        cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
        texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    else:
        texts = [page.read_text(encoding="utf-8")]
    return tuple(re.sub(r"^```.*?^```", "", text, flags=re.M | re.S) for text in texts)


@cache
def anchors(page: Path) -> set[str]:
    """A heading's anchor, as GitHub and the site make it."""
    heads = [head for text in blocks(page) for head in re.findall(r"^#+ (.+)$", text, re.M)]
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", head.strip().lower())) for head in heads}


def links(page: Path) -> list[str]:
    return [target for text in blocks(page) for target in LINK.findall(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_lead_to_a_file_and_a_heading(page):
    """Also from a notebook to the docs, and to a heading of the same page."""
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name) if name else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(file), f"{page.name}: {target}"


@pytest.mark.parametrize("page", COURSE, ids=lambda page: page.name)
def test_links_of_the_course_to_sources_have_a_known_form(page):
    """A mail by its Message-ID, a file of the kernel by its version; nothing typed by hand."""
    outside = [target for target in links(page) if target.startswith("http")]
    assert [target for target in outside if not ABROAD.match(target)] == []


#: Words of the kernel, as the course writes them: a flag, an errno, a function, a file.
KERNEL = re.compile(
    r"`(VM_\w+|-E[A-Z]{3,}|FOLL_\w+|zap_\w+|copy_page_range|invalidate_range_\w+|mmap_lock|mprotect|mremap|munmap|fork"
    r"|madvise[^`]*|calc_map_type_and_dist|upstream_bridge_distance|struct page|vm_pgoff|mmu_\w+|get_user_pages)`"
)
THREAD = re.compile(r"Jérôme Glisse|Logan Gunthorpe|Jason Gunthorpe|Christoph Hellwig|the thread|no mail|the proposal")
#: What makes a statement one that can be looked up, or says that it cannot.
SOURCED = re.compile(r"\]\(https://|[Ii]nferred|[Ss]tated|\(source\)|recorded|`[\w-]+` breaks `|`[FEC]\d+`|handout")
#: No statement: what is asked, what is to be done, what a cell shows right below or above.
NO_STATEMENT = re.compile(
    r"\?|[Pp]redict|[Cc]hoose|Try |below|above|Here |^#|^\*\*(On|What the model)|^\|[- |]+\|$|Each character"
    r"|Afterwards|raises UNMAP"
)


@pytest.mark.parametrize("page", COURSE, ids=lambda page: page.name)
def test_a_statement_about_kernel_or_thread_has_a_source_or_is_marked(page):
    """Paragraph by paragraph, and item by item in lists and tables: a link, or `stated`, `inferred`, or a run that tests it."""
    bare = []
    for text in blocks(page):
        for part in re.split(r"\n\n|\n(?=- |\| |\d\. )", text):
            part = part.strip()
            if (
                (KERNEL.search(part) or THREAD.search(part))
                and not SOURCED.search(part)
                and not NO_STATEMENT.search(part)
            ):
                bare.append(part)
    assert bare == []


DOCS = sorted((ROOT / "docs").glob("*.md"))
#: In the docs a file of the kernel or a Message-ID in the text is a source as well.
NAMED = re.compile(r"\b[\w/-]+/[\w.-]+\.(c|h|rst)\b|<?[\w.+=-]+@[\w.-]+\.\w+>?|recording")
MAIL = re.compile(
    r"(?<![\w@.+-])[\w.+=-]{8,}@(?:redhat\.com|mellanox\.com|lst\.de|deltatee\.com|amd\.com|nvidia\.com|meta\.com"
    r"|infradead\.org|casper\.infradead\.org|linux\.intel\.com)"
)


def sections(page: Path) -> list[tuple[str, list[str]]]:
    """The lead of each stretch of a page (the paragraph before a list or table, or its own), and the parts under it."""
    found: list[tuple[str, list[str]]] = []
    for block in re.split(r"\n\n", "\n\n".join(blocks(page))):
        parts = [part.strip() for part in re.split(r"\n(?=- |\| |\d+\. )", block.strip())]
        lead = found[-1][1][-1] if found and re.match(r"- |\||\d+\. ", parts[0]) else ""
        found.append((lead, parts))
    return found


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_a_statement_of_the_docs_has_a_source_or_is_marked(page):
    """As in the course: by itself, or by the words before its list or table, or by the page's list of sources."""
    whole = "\n".join(blocks(page))
    listed = re.search(r"^Sources: ", whole, re.M) or page.name == "sources.md"
    bare = [
        part
        for lead, parts in sections(page)
        for part in parts
        if (KERNEL.search(part) or THREAD.search(part))
        and not any(SOURCED.search(text) or NAMED.search(text) for text in (part, lead))
        and not NO_STATEMENT.search(part)
    ]
    assert listed or bare == []


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_a_mail_that_a_page_names_is_listed(page):
    """docs/sources.md has every Message-ID, with date, author and what it says."""
    known = set(re.findall(r"^\| `(\S+@\S+)` \|", (ROOT / "docs" / "sources.md").read_text(encoding="utf-8"), re.M))
    assert sorted(set(MAIL.findall(page.read_text(encoding="utf-8"))) - known) == []
