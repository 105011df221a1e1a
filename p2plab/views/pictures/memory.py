"""Device memory byte by byte, and main memory if there is any, as a table."""

from __future__ import annotations

from html import escape

from p2plab.views.damage import memory_picture
from p2plab.views.picture import Look, Picture, RunPicture

COLUMNS = ("frame", "page", "owner", "generation", "where", "bytes", "")


def memory_table(at: Look) -> str:
    """A row a frame; damaged ones are marked by a word and a class."""
    picture = memory_picture(at.run, at.step)
    lines = "".join(
        f'<tr class="{"broken" if row.destroyed else ""}"><td>{escape(row.memory)} {row.frame}</td>'
        f"<td>{escape(row.page or '-')}</td><td>{escape(row.owner or '-')}</td><td>{row.generation}</td>"
        f"<td>{escape(row.shown)}</td><td><code>{escape(row.text)}</code></td>"
        f"<td>{'DAMAGED' if row.destroyed else ''}</td></tr>"
        for row in picture.rows
    )
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    table = f'<table class="p2plab-board" data-view="memory"><tr>{head}</tr>{lines}</table>'
    return f'<p>{escape(picture.alt)}</p><div style="overflow-x:auto">{table}</div>'


PICTURE = RunPicture(
    "memory", "device memory", lambda at: Picture(memory_picture(at.run, at.step).alt), table=memory_table
)
