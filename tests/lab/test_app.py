"""What a link's query opens."""

from p2plab.core.token import token_of
from p2plab.lab import Lab
from p2plab.lab.app import app


def test_a_token_in_the_link_opens_that_run(monkeypatch):
    """As a word, and as Voila hands it over, with other words beside it."""
    token = token_of(Lab("defrag-ignorant").session.run)
    assert app(f"token={token}").session.token == token
    monkeypatch.setenv("QUERY_STRING", f"theme=dark&token={token}")
    assert app().session.token == token


def test_a_scene_in_the_link_opens_that_scene():
    """With its story told."""
    assert app("scene=defrag-obedient").session.run.scenario.name == "defrag-obedient"


def test_what_cannot_be_opened_is_said_above_an_empty_workbench():
    """Damaged, markup, of no scene, endless: the sentence, and a lab that works."""
    for query, sentence in (
        ("token=p2p1.nonsense", "the token is damaged"),
        ("token=%3Cscript%3E", "not a token: &#x27;&lt;script&gt;&#x27;"),
        ("scene=nonsense", "there is no scene &#x27;nonsense&#x27;"),
        ("token=p2p1&token=" + "x" * 30_000, "not a token"),
    ):
        lab = app(query)
        assert lab.session.run.scenario.name == "workbench"
        assert sentence in lab.guard.strip.value, query
        lab.buttons["map"].click()
        assert lab.guard.last is None
    assert app("").guard.last is None
