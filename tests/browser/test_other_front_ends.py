"""The lab in Notebook 7 and as an app in Voila; JupyterLab is in the files beside this one."""

from __future__ import annotations

from p2plab.core.token import token_of
from p2plab.lab.session import Session
from p2plab.views.stage import moment
from p2plab.views.stage.text import alt_of
from tests.browser.conftest import Server, Watched
from tests.browser.notebook import (
    broken,
    press,
    said,
    wait_for_kernel,
    wait_for_pictures,
    wait_for_stages,
    wait_until_saved,
    words,
    write_notebook,
)


def walk() -> Session:
    """What the presses below lead to, in the model."""
    session = Session("workbench", {"importer": "ignorant"})
    session.press("map")
    session.press("dma")
    return session


def test_notebook_7_draws_obeys_and_shows_the_current_state_again(lab_server: Server, watched: Watched):
    """Pictures, a click's effect in both views, the same after a reload."""
    page = watched.page
    write_notebook(
        lab_server, "seven.ipynb", "from p2plab.lab import Lab\nlab = Lab('workbench', importer='ignorant')\nlab", "lab"
    )
    page.goto(f"{lab_server.url}/notebooks/seven.ipynb")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    wait_for_kernel(lab_server, "seven.ipynb")
    page.get_by_text("Run", exact=True).first.click()
    page.get_by_text("Run All Cells", exact=True).click()
    wait_for_stages(page, 2)
    press(page, "map")
    press(page, "start DMA")
    expected = walk()
    assert said(page, "token").strip() == expected.token
    told = alt_of(moment(expected.run, expected.step))
    assert [words(page), words(page, 1)] == [told, told]
    page.keyboard.press("Escape")
    wait_until_saved(page, lab_server, "seven.ipynb", 2)
    page.reload()
    wait_for_stages(page, 2)
    assert words(page) == words(page, 1) == told
    assert watched.abroad == []
    assert watched.ours == []


def test_the_app_is_the_lab_alone(app_server: Server, watched: Watched):
    """No code, no request to anywhere, a title; a press shows, with the model's own hex labels."""
    page = watched.page
    page.goto(app_server.url)
    wait_for_pictures(page)
    assert page.title() == "p2plab: the lab"
    assert page.locator(".highlight").count() == 0
    assert "from p2plab" not in page.inner_text("body")
    press(page, "map")
    press(page, "start DMA")
    assert said(page, "token").strip() == walk().token
    assert words(page) == alt_of(moment(walk().run, walk().step))
    assert watched.abroad == []
    assert watched.ours == []


def test_a_link_with_a_token_opens_that_run(app_server: Server, watched: Watched):
    """The reviewer sees the break at once."""
    run = Session("defrag-ignorant").run
    watched.page.goto(f"{app_server.url}/?token={token_of(run)}")
    wait_for_pictures(watched.page)
    assert broken(watched.page)[0] == "obedience"
    assert said(watched.page, "token").strip() == token_of(run)
    assert watched.ours == []


def test_a_link_with_a_bad_token_says_so_and_offers_a_workbench(app_server: Server, watched: Watched):
    """The sentence in the page, escaped, and a lab that works."""
    page = watched.page
    page.goto(f"{app_server.url}/?token=p2p1.<img src=x>")
    wait_for_pictures(page)
    assert "the token is damaged" in page.inner_text(".p2plab-alert")
    press(page, "map")
    page.locator(".p2plab-alert").wait_for(state="detached")
    assert watched.abroad == []
    assert watched.ours == []
