"""Learners' files go to a folder of the test's own."""

import pytest


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    folder = tmp_path / "course"
    monkeypatch.setenv("P2PLAB_COURSE", str(folder))
    return folder
