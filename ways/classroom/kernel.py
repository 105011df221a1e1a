"""A kernel as a notebook page sees it: messages over the server's websocket, in the protocol that JupyterLab speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from jupyter_client.session import Session
from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

#: JupyterLab asks for this one and gets it: parts of a message behind a table of their places, buffers as they are.
PROTOCOL = Subprotocol("v1.kernel.websocket.jupyter.org")

Message = dict[str, Any]


class KernelDied(Exception):
    """The kernel ended while an answer was awaited."""


class Kernel:
    """One page's connection. ``heard`` is called with every message of the iopub channel, in order."""

    def __init__(self, socket: ClientConnection, session: Session, heard: Callable[[Message], None]) -> None:
        self.socket, self.session, self.heard = socket, session, heard
        self._idle: dict[str, asyncio.Future[None]] = {}
        self._replies: dict[str, Message] = {}
        self.restarted = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def join(cls, url: str, headers: dict[str, str], heard: Callable[[Message], None]) -> Kernel:
        """Connect to ``url`` (…/api/kernels/ID/channels) and wait until the kernel answers who it is."""
        session = Session(key=b"", username="student")
        socket = await connect(
            f"{url}?session_id={session.session}",
            additional_headers=headers,
            subprotocols=[PROTOCOL],
            max_size=None,
            open_timeout=300,
            ping_timeout=None,
        )
        assert socket.subprotocol == PROTOCOL, "the server did not agree to JupyterLab's protocol"
        made = cls(socket, session, heard)
        await made.ask("kernel_info_request", {})
        return made

    async def ask(self, kind: str, content: Message, channel: str = "shell") -> Message:
        """Send, and wait until the kernel is idle again after it; the reply where the kind has one, else empty.

        :exc:`KernelDied` if it ended meanwhile.
        """
        message = self.session.msg(kind, content)
        done = self._idle[message["header"]["msg_id"]] = asyncio.get_running_loop().create_future()
        await self.socket.send(serialize_msg_to_ws_v1(message, channel, self.session.pack))
        await done
        return self._replies.pop(message["header"]["msg_id"], {})

    async def leave(self) -> None:
        """Close the page's connection; the kernel lives on."""
        self._reader.cancel()
        await self.socket.close()

    async def _read(self) -> None:
        try:
            async for data in self.socket:
                assert isinstance(data, bytes), "text where JupyterLab's protocol has only binary frames"
                self._take(data)
        except ConnectionClosed as error:
            self._fail(f"the connection was closed: {error}")

    def _take(self, data: bytes) -> None:
        channel, parts = deserialize_msg_from_ws_v1(data)
        header, parent, _metadata, content = (self.session.unpack(part) for part in parts[:4])
        message = {"type": header["msg_type"], "content": content, "buffers": parts[4:]}
        asked = parent.get("msg_id", "")
        if channel == "shell":
            self._replies[asked] = message
        if channel != "iopub":
            return
        state = content.get("execution_state") if header["msg_type"] == "status" else ""
        if state in ("restarting", "autorestarting", "dead"):
            self._fail("the kernel died")
            self.restarted.set()
        self.heard(message)
        waiting = self._idle.pop(asked, None) if state == "idle" else None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _fail(self, why: str) -> None:
        for waiting in self._idle.values():
            if not waiting.done():
                waiting.set_exception(KernelDied(why))
        self._idle.clear()
