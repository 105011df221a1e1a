"""The boards of a run, read apart from the stage's own pass: what its chips are held against."""

from collections.abc import Iterator
from itertools import groupby

from p2plab.core.monitor import Finding
from p2plab.core.run import Run
from p2plab.rules import watched_by
from p2plab.rules.base import Board


def boards(run: Run) -> Iterator[Board]:
    """How the promises stand after 0, 1, … all steps; the log is read once. Use each before asking for the next."""
    rules = tuple(rule() for rule in watched_by(run.scenario))
    findings: list[Finding] = []
    by_step = {step: list(entries) for step, entries in groupby(run.log, lambda entry: entry.step)}
    for step in range(len(run) + 1):
        findings += [finding for entry in by_step.get(step, ()) for rule in rules for finding in rule.see(entry)]
        yield Board(rules, tuple(findings))
