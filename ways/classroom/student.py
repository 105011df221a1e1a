"""One simulated student: a browser's requests to the hub, the student's own server and kernel, and the first lesson."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from ways.classroom.front_end import FrontEnd
from ways.classroom.hub import Hub
from ways.classroom.kernel import Kernel
from ways.classroom.lesson import NOTEBOOK, Click

#: Nobody waits longer for a page.
PATIENCE = 300
SCRIPT = re.compile(r'(?:src|href)="([^"]+\.(?:js|css)[^"]*)"')
XSRF = re.compile(r'name="_xsrf" value="([^"]*)"')


class Lost(Exception):
    """A student who did not get on; the sentence says at what."""


@dataclass
class Student:
    """A browser with its cookies. ``marks`` holds seconds since arrival; ``answers`` the seconds of each press."""

    hub: Hub
    name: str
    web: httpx.AsyncClient
    marks: dict[str, float] = field(default_factory=dict)
    answers: list[float] = field(default_factory=list)
    page: FrontEnd = field(default_factory=FrontEnd)
    kernel_id: str = ""
    first_token: str = ""
    unread: list[str] = field(default_factory=list)
    looking: asyncio.Task[None] | None = None
    arrived: float = field(default_factory=time.monotonic)

    @property
    def base(self) -> str:
        """The student's own server."""
        return f"{self.hub.url}/user/{self.name}"

    def arrive(self) -> None:
        """The clock starts."""
        self.arrived = time.monotonic()

    def mark(self, what: str) -> None:
        """Remember when something was reached."""
        self.marks[what] = time.monotonic() - self.arrived

    # -- the hub ----------------------------------------------------------------------------------------------------

    async def log_in(self) -> None:
        """The login form, with its own token against forged requests, as a browser sends it."""
        form = await self._get(f"{self.hub.url}/hub/login")
        found = XSRF.search(form.text)
        if found is None:
            raise Lost("the login page has no form")
        data = {"username": self.name, "password": self.hub.password, "_xsrf": found[1]}
        answer = await self.web.post(f"{self.hub.url}/hub/login?next=", data=data, follow_redirects=False)
        if answer.status_code != 302:
            raise Lost(f"the hub did not let {self.name} in: {answer.status_code}")
        self.mark("logged in")

    async def start_server(self) -> None:
        """Ask for the server, and follow its progress as the waiting page does."""
        waiting = await self.web.get(f"{self.hub.url}/hub/spawn/{self.name}", follow_redirects=False)
        if waiting.status_code != 302:
            raise Lost(f"the hub did not start a server: {waiting.status_code} {waiting.text[:500]}")
        progress = f"{self.hub.url}/hub/api/users/{self.name}/server/progress?_xsrf={quote(self._xsrf('/hub/'))}"
        headers = {"Accept": "text/event-stream", "Referer": str(waiting.url)}
        async with self.web.stream("GET", progress, headers=headers) as answer:
            async for line in answer.aiter_lines():
                told = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if told.get("failed"):
                    raise Lost(f"the server did not start: {told['message']}")
                if told.get("ready"):
                    self.mark("server")
                    return
        raise Lost(f"the server's progress ended without it: {answer.status_code}")

    # -- the server -------------------------------------------------------------------------------------------------

    async def open_notebook(self) -> list[str]:
        """JupyterLab's page with what it loads, then the notebook; the code of its cells."""
        page = await self._get(f"{self.base}/lab/tree/{NOTEBOOK}")
        for script in SCRIPT.findall(page.text):
            await self._get(str(page.url.join(script)))
        for asked in ("api/kernelspecs", "api/me", "lab/api/settings", f"api/contents/{NOTEBOOK}?content=1&hash=1"):
            answer = await self._get(f"{self.base}/{asked}")
        self.mark("notebook")
        self.looking = asyncio.create_task(self._look_after())
        return [cell["source"] for cell in answer.json()["content"]["cells"] if cell["cell_type"] == "code"]

    async def start_kernel(self, notebook: str = NOTEBOOK) -> None:
        """A session for a notebook, as opening it makes one, and the page's websocket to its kernel."""
        wanted = {"path": notebook, "name": "", "type": "notebook", "kernel": {"name": "python3"}}
        answer = await self.web.post(f"{self.base}/api/sessions", json=wanted, headers=self.forgery_token())
        if answer.status_code != 201:
            raise Lost(f"no kernel: {answer.status_code} {answer.text[:500]}")
        self.kernel_id = answer.json()["kernel"]["id"]
        await self.join_kernel()
        self.mark("kernel")

    async def join_kernel(self) -> None:
        """Connect the page to the kernel."""
        url = f"{self.base}/api/kernels/{self.kernel_id}/channels".replace("http", "ws", 1)
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies(f"/user/{self.name}/").items())
        headers = {"Cookie": cookies, "Origin": self.hub.url}
        self.page.kernel = await Kernel.join(url, headers, self.page.hear)

    async def see_first_picture(self, cells: list[str]) -> None:
        """Run cells until the stage has its first moment, as somebody does who then presses; :meth:`read_on` runs the rest."""
        for number, cell in enumerate(cells, 1):
            await self.page.run(cell)
            if self.page.stage():
                self.mark("first picture")
                self.first_token = self.token
                self.unread = cells[number:]
                return
        raise Lost("the cells showed no picture")

    async def read_on(self) -> None:
        """Run the rest of the notebook."""
        while self.unread:
            await self.page.run(self.unread.pop(0))

    async def do(self, clicks: list[Click], pause: float = 0) -> None:
        """Press, and hold against the model what the page then shows."""
        for click in clicks:
            began = time.monotonic()
            await self.page.press(click.button)
            self.answers.append(time.monotonic() - began)
            shown = (self.token, self.page.stage())
            if shown != (click.token, click.stage):
                raise Lost(f"{self.name}: after {click.button} the page shows {shown}, and the model says {click}")
            await asyncio.sleep(pause)
        self.mark("done")

    @property
    def token(self) -> str:
        """The run that is on the page."""
        return self.page.view("token").removeprefix("Token of this run: ")

    async def journal_offers(self) -> str:
        """The token that *resume the last run* brings back."""
        await self.page.press("resume the last run")
        return self.token

    async def sessions(self) -> list[dict[str, Any]]:
        """The notebooks that are open in this student's server."""
        answer = await self._get(f"{self.base}/api/sessions")
        return list(answer.json())

    async def is_kept_out_of(self, other: Student) -> bool:
        """Whether the other's server refuses this student's cookies."""
        answer = await self.web.get(f"{other.base}/api/contents")
        return answer.status_code in (403, 404)

    async def _look_after(self) -> None:
        """What an open JupyterLab asks by itself, every ten seconds."""
        while True:
            await asyncio.sleep(10)
            for asked in (
                "api/kernels",
                "api/sessions",
                "api/terminals",
                "lab/api/workspaces",
                "api/contents?content=1&hash=0",
            ):
                await self.web.get(f"{self.base}/{asked}")

    # -- the browser ------------------------------------------------------------------------------------------------

    async def _get(self, url: str) -> httpx.Response:
        answer = await self.web.get(url)
        if answer.status_code != 200:
            raise Lost(f"{self.name}: {answer.status_code} from {url}")
        return answer

    def _cookies(self, path: str) -> dict[str, str]:
        """What a browser would send to a path: of two cookies with one name, the one for the longer path."""
        fitting = [cookie for cookie in self.web.cookies.jar if path.startswith(cookie.path)]
        return {cookie.name: str(cookie.value) for cookie in sorted(fitting, key=lambda cookie: len(cookie.path))}

    def _xsrf(self, path: str) -> str:
        return self._cookies(path).get("_xsrf", "")

    def forgery_token(self) -> dict[str, str]:
        """The header that every request needs which changes something, or starts it."""
        return {"X-XSRFToken": self._xsrf(f"/user/{self.name}/"), "Referer": f"{self.base}/lab"}


@asynccontextmanager
async def arriving(hub: Hub, name: str) -> AsyncIterator[Student]:
    """A student with a browser of their own, until the block ends."""
    limits = httpx.Limits(max_connections=6)  # what browsers open to one host
    async with httpx.AsyncClient(follow_redirects=True, timeout=PATIENCE, limits=limits) as web:
        student = Student(hub, name, web)
        try:
            yield student
        finally:
            if student.looking is not None:
                student.looking.cancel()
            if student.page.kernel is not None:
                await student.page.kernel.leave()


async def attend(student: Student, clicks: list[Click], pause: float = 0) -> None:
    """From the door to the last press."""
    await student.log_in()
    await student.start_server()
    cells = await student.open_notebook()
    await student.start_kernel()
    await student.see_first_picture(cells)
    await student.do(clicks, pause)
