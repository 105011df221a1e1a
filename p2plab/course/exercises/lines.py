"""How many lines of a broken driver an answer changes; comments, blank lines and docstrings do not count."""

from __future__ import annotations

import ast
import difflib


def changed_lines(before: str, after: str) -> int:
    """Lines that are new, gone or changed. SyntaxError if one of them is no Python.

    >>> changed_lines("class A:\\n    x = 1\\n", "class B:  # mine\\n    x = 2\\n    y = 3\\n")
    2
    """
    old, new = _lines(before), _lines(after)
    match = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return sum(max(b - a, d - c) for tag, a, b, c, d in match.get_opcodes() if tag != "equal")


def remark(before: str, after: str, smallest: int) -> str:
    """The number, compared with the smallest one known."""
    count = changed_lines(before, after)
    lines = f"{count} line{'s' * (count != 1)} changed"
    if count < smallest:
        return f"{lines}: fewer than the {smallest} that were known to be enough"
    return f"{lines}; {smallest} are known to be enough"


def _lines(text: str) -> list[str]:
    """The statements of a class and of what comes with it, one per line, in Python's normal form."""
    tree = ast.parse(text)
    tree.body = [node for node in tree.body if not isinstance(node, (ast.Import, ast.ImportFrom))]
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    if classes:
        classes[-1].name = "_"  # its name does not count
    return [line for line in ast.unparse(tree).splitlines() if line.strip()]
