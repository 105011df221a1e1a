"""The notebooks' links to the glossary: ``python -m tests.course.glossary`` writes them, a test compares.

A word of the glossary is a link at its first use in a notebook's prose, with its meaning as the link's title, which a
browser shows on hover. Code, headings and other links are left alone; so are :data:`PLAIN` words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb"))
#: Words of the glossary that are ordinary English, too: a link at their first use would often be at another meaning.
PLAIN = {
    "function",
    "today",
    "object",
    "stated",
    "inferred",
    "step",
    "schedule",
    "switch of actors",
    "run",
    "scene",
    "token",
    "rule",
    "finding",
}
LINK = re.compile(r'\[([^\]\[]+)\]\(\.\./docs/glossary\.md#[\w-]+ "[^"]*"\)')
#: What of a cell's text is no prose: code, links and images, HTML, headings, the names of keys.
NO_PROSE = re.compile(
    r"```.*?```"
    r"|!?\[(?:[^\]\[]|\[[^\]]*\])*\]\((?:[^()\x22]|\x22[^\x22]*\x22)*\)"  # a title, in quotation marks, may have brackets
    r"|<[^>]+>|^#.*?$|^ {4,}.*?$|`[^`\n]+`",
    re.M | re.S,
)


@dataclass(frozen=True)
class Word:
    """A word of the glossary, its anchor, and its meaning in one line."""

    name: str
    anchor: str
    meaning: str

    @property
    def link(self) -> str:
        """What follows the linked words."""
        return f'(../docs/glossary.md#{self.anchor} "{self.meaning}")'


def words() -> Iterator[Word]:
    """All words of the glossary; a meaning is the paragraph under the word's heading."""
    text = GLOSSARY.read_text(encoding="utf-8")
    for name, meaning in re.findall(r"^### (.+)\n\n((?:.+\n)+)", text, re.M):
        anchor = re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", name.lower()))
        yield Word(name, anchor, re.sub(r"[`*]", "", " ".join(meaning.split())))


def pattern(name: str) -> re.Pattern[str]:
    """How a word is found in prose: capitals as they are, others also at the beginning of a sentence; also as plural."""
    if name in ("p2p_map", "p2p_unmap", "mmap_lock", "dma_fence", "struct page"):
        return re.compile(rf"`{name}`")
    if name == "vma":
        return re.compile(r"(?<![\w-])(?:vma|VMA)s?(?![\w-])")
    if name == "DMA":  # "start DMA" is what a button says
        return re.compile(r"(?<![\w-])(?<!start )DMA(?![\w-])(?! engine)")
    first = name if name.isupper() else f"[{name[0].upper()}{name[0]}]{re.escape(name[1:])}"
    return re.compile(rf"(?<![\w-]){first}s?(?![\w-])")


def linked(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The cells of a notebook with each word linked at its first use, and nowhere else."""
    texts = [LINK.sub(r"\1", "".join(cell["source"])) for cell in cells if cell["cell_type"] == "markdown"]
    for word in sorted(words(), key=lambda word: -len(word.name)):
        if word.name in PLAIN:
            continue
        found = pattern(word.name)
        for number, text in enumerate(texts):
            taken = [other.span() for other in NO_PROSE.finditer(text)]
            use = next((use for use in found.finditer(text) if _free(use, taken)), None)
            if use is not None:
                texts[number] = f"{text[: use.start()]}[{use[0]}]{word.link}{text[use.end() :]}"
                break
    made = iter(texts)
    return [
        {**cell, "source": next(made).splitlines(keepends=True)} if cell["cell_type"] == "markdown" else cell
        for cell in cells
    ]


def _free(use: re.Match[str], taken: list[tuple[int, int]]) -> bool:
    """Whether a use lies in prose; a word that is code may be a whole code span."""
    whole = use.span() if use[0].startswith("`") else None
    return not any(start < use.end() and use.start() < end and (start, end) != whole for start, end in taken)


def main() -> None:
    """Write the links into all notebooks."""
    for file in NOTEBOOKS:
        notebook = json.loads(file.read_text(encoding="utf-8"))
        notebook["cells"] = linked(notebook["cells"])
        file.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
