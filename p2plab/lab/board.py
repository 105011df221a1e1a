"""The HTML parts of the lab: the rules' board, the damage, the text twin. Everything from a run is escaped."""

from __future__ import annotations

import re
from html import escape

from p2plab.core.run import Run
from p2plab.rules import Board, Rule
from p2plab.rules.damage import damage
from p2plab.views.leaves_out import LEAVES_OUT
from p2plab.views.text import story

_ARCHIVE = "https://lore.kernel.org/linux-mm/"
_MARKS = {"broken": ("broken", "✗"), "kept": ("kept", "✓"), "not": ("idle", "·")}


def board_html(board: Board) -> str:
    """Broken promises first, then those that were kept; what had no occasion is folded away below."""
    states = {rule.name: board.state(rule).partition(" ")[0] for rule in board.rules}
    tested = [rule for word in ("broken", "kept") for rule in board.rules if states[rule.name] == word]
    idle = [rule for rule in board.rules if states[rule.name] == "not"]
    html = f'<div data-view="board">{_table(board, tested)}'
    if idle:
        html += f"<details><summary>{len(idle)} rules had no occasion to break</summary>{_table(board, idle)}</details>"
    return f"{html}</div>"


def _table(board: Board, rules: list[Rule]) -> str:
    rows = []
    for rule in rules:
        state = board.state(rule)
        mark, sign = _MARKS[state.partition(" ")[0]]
        finding = board.first(rule.name)
        happened = f"<br>{escape(finding.what)}" if finding else ""
        rows.append(
            f'<tr><td class="{mark}"><span class="mark {mark}" aria-hidden="true">{sign}</span>{escape(rule.name)}</td>'
            f'<td class="{mark}">{escape(state)}{happened}</td><td>{escape(rule.promise)}</td>'
            f"<td>{_source(rule.source)}, {rule.basis()}</td></tr>"
        )
    head = "<tr><th>rule</th><th>in this run</th><th>promise</th><th>source</th></tr>"
    return f'<table class="p2plab-board">{head}{"".join(rows)}</table>'


def verdict_html(board: Board) -> str:
    """The newest break in one line, or that nothing broke; read out by a screen reader when it changes."""
    broken = [finding for rule in board.rules if (finding := board.first(rule.name))]
    if not broken:
        return '<div role="status" data-view="verdict">No rule is broken so far.</div>'
    names = ", ".join(f"<b>{escape(f.rule)}</b> at step {f.step}" for f in broken)
    text = escape(broken[0].what)
    return f'<div role="alert" class="p2plab-alert" data-view="verdict">Broken: {names}. {text}.</div>'


def damage_html(run: Run, step: int) -> str:
    """Whose bytes were damaged up to a step."""
    hits = damage(entry for entry in run.log if entry.step <= step)
    if not hits:
        return '<div data-view="damage">No byte of anybody was damaged.</div>'
    lines = "".join(f"<li>{escape(str(hit))}</li>" for hit in hits)
    return f'<div data-view="damage"><b>Damage</b><ul>{lines}</ul></div>'


def text_html(run: Run) -> str:
    """The run as 72 columns of text, and what the model leaves out, both folded away."""
    left_out = "".join(f"<li><b>{escape(name)}</b>: {escape(what)}</li>" for name, what in LEAVES_OUT)
    return (
        f"<details><summary>This run as text, to paste into a mail</summary>"
        f'<pre class="p2plab-text" data-view="text">{escape(story(run))}</pre></details>'
        f"<details><summary>What this model leaves out</summary><ul>{left_out}</ul></details>"
    )


def _source(source: str) -> str:
    if "@" not in source:
        return f"<code>{escape(source)}</code>"
    date = re.match(r"(20\d\d)(\d\d)(\d\d)", source)
    words = f"mail of {date[1]}-{date[2]}-{date[3]}" if date else "mail of January 2019"
    return f'<a href="{_ARCHIVE}{escape(source)}/" target="_blank" rel="noopener">{words}</a>'
