"""Every test of the lab has a journal of its own."""

import pytest


@pytest.fixture(autouse=True)
def journal(tmp_path, monkeypatch):
    """The journal's file."""
    file = tmp_path / "journal.jsonl"
    monkeypatch.setenv("P2PLAB_JOURNAL", str(file))
    return file
