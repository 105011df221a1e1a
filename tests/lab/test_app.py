"""What a link's query opens."""

import os

from p2plab.core.token import token_of
from p2plab.lab import Lab
from p2plab.lab.app import app


def test_a_token_in_the_link_opens_that_run(monkeypatch):
    """As a word, and as Voila hands it over, with other words beside it."""
    token = token_of(Lab("defrag-ignorant").session.run)
    assert app(f"token={token}").session.token == token
    monkeypatch.setenv("QUERY_STRING", f"theme=dark&token={token}")
    assert app().session.token == token


def test_the_login_of_a_server_is_not_taken_for_a_run():
    """Binder puts its server's own token behind ours, under the same name; alone it asks for no run at all."""
    token = token_of(Lab("defrag-ignorant").session.run)
    login = "0f3b6c-Ab_94d1e77aa02"
    for query in (f"token={token}&token={login}", f"token={login}&token={token}", f"run={token}&token={login}"):
        assert app(query).session.token == token
    lab = app(f"token={login}")
    assert lab.guard.last is None
    assert lab.session.run.scenario.name == "workbench"
    assert login not in lab.guard.strip.value


def test_a_scene_in_the_link_opens_that_scene():
    """With its story told."""
    assert app("scene=defrag-obedient").session.run.scenario.name == "defrag-obedient"


def test_what_cannot_be_opened_is_said_above_an_empty_workbench():
    """Damaged, markup, of no scene, endless: the sentence, and a lab that works."""
    for query, sentence in (
        ("token=p2p1.nonsense", "the token is damaged"),
        ("token=%3Cscript%3E", "not a token: &#x27;&lt;script&gt;&#x27;"),
        ("run=nonsense", "not a token: &#x27;nonsense&#x27;"),
        ("token=p2p1", "not a token"),
        ("scene=nonsense", "there is no scene &#x27;nonsense&#x27;"),
        ("token=p2p1&token=" + "x" * 30_000, "not a token"),
    ):
        lab = app(query)
        assert lab.session.run.scenario.name == "workbench"
        assert sentence in lab.guard.strip.value, query
        lab.buttons["map"].click()
        assert lab.guard.last is None
    assert app("").guard.last is None


def test_a_kernel_that_was_there_before_waits_for_the_link(monkeypatch):
    """Voila may start kernels before anybody comes; what the link says is then told later, and not lost."""
    token = app("scene=defrag-obedient").session.token

    def comes():
        os.environ["QUERY_STRING"] = f"run={token}"

    monkeypatch.setenv("VOILA_PREHEAT", "True")
    monkeypatch.setenv("QUERY_STRING", "")
    monkeypatch.setattr("voila.utils.wait_for_request", comes)
    assert app().session.token == token
