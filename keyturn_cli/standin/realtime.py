"""/v1/realtime: a session over WebSocket that answers in text."""

from __future__ import annotations

import asyncio
import json
from typing import Final

from aiohttp import WSMessage, WSMsgType, web

from keyturn_cli.standin.answer import dump, new_id
from keyturn_cli.standin.bearer import key_error
from keyturn_cli.standin.chat_request import reply_text
from keyturn_cli.standin.errors import invalid_parameter, missing_parameter
from keyturn_cli.standin.manner import Manner
from keyturn_cli.standin.progress import PACE, PROGRESS
from keyturn_cli.standin.realtime_events import Reply, error_event
from keyturn_cli.standin.record import MESSAGES, ReceivedMessage, write_down

_SUBPROTOCOL: Final = "realtime"
_MAX_MESSAGE_BYTES: Final = 32 * 1024 * 1024
_CLOSE_REQUEST: Final = "close me"
_CLOSE_CODE: Final = 4000
_CLOSE_REASON: Final = b"bye"


async def open_session(request: web.Request) -> web.StreamResponse:
    """Hold a session until either side ends it."""
    model = request.query.get("model")
    if not model:
        raise missing_parameter("model")
    socket = web.WebSocketResponse(
        protocols=(_SUBPROTOCOL,), autoclose=False, max_msg_size=_MAX_MESSAGE_BYTES
    )
    if not socket.can_prepare(request):
        raise invalid_parameter("Expected a WebSocket handshake.", "upgrade")
    await socket.prepare(request)
    request[MESSAGES] = []
    await _Session(request, socket, model).run()
    return socket


class _Session:
    """One session: its settings, and what the user said last."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, model: str) -> None:
        self._request = request
        self._socket = socket
        self._manner = Manner.of_model(model)
        self._question = ""
        self._settings: dict[str, object] = {
            "id": new_id("sess_"),
            "object": "realtime.session",
            "type": "realtime",
            "model": model,
            "output_modalities": ["text"],
            "instructions": "",
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
        }

    async def run(self) -> None:
        """Answer messages until the session ends; it is written down before it closes."""
        await self._send({"type": "session.created", "session": self._settings})
        while (message := await self._socket.receive()).type in (WSMsgType.TEXT, WSMsgType.BINARY):
            self._request[MESSAGES].append(ReceivedMessage.of(message.data))
            if message.data == _CLOSE_REQUEST:
                write_down(self._request)
                await self._socket.close(code=_CLOSE_CODE, message=_CLOSE_REASON)
                return
            await self._answer(message)
        write_down(self._request)
        await self._socket.close()

    async def _answer(self, message: WSMessage) -> None:
        if message.type is WSMsgType.BINARY:
            await self._socket.send_bytes(message.data)
            return
        try:
            event = json.loads(message.data)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            await self._send(
                error_event(invalid_parameter("The event is no JSON object.", "event"))
            )
            return
        match event.get("type"):
            case "session.update":
                await self._update(event.get("session"))
            case "conversation.item.create":
                await self._add_item(event.get("item"))
            case "response.create":
                await self._reply()
            case "input_audio_buffer.append":
                pass  # OpenAI does not answer it either.
            case _:
                unknown = invalid_parameter("Invalid value for 'type'.", "type", "invalid_value")
                await self._send(error_event(unknown))

    async def _update(self, changes: object) -> None:
        if isinstance(changes, dict):
            self._settings |= changes
        await self._send({"type": "session.updated", "session": self._settings})

    async def _add_item(self, item: object) -> None:
        added = {"id": new_id("item_"), **(item if isinstance(item, dict) else {})}
        parts = added.get("content")
        first = parts[0] if isinstance(parts, list) and parts else None
        if isinstance(first, dict):
            self._question = str(first.get("text", ""))
        for kind in ("conversation.item.added", "conversation.item.done"):
            await self._send({"type": kind, "previous_item_id": None, "item": added})

    async def _reply(self) -> None:
        if self._manner.echoes_key:
            await self._send(error_event(key_error(self._request)))
            return
        reply = Reply(self._question, reply_text(self._question), self._manner.stream_tokens)
        for event in reply.events():
            if self._manner.is_paced:
                await self._request.app[PACE].turn()
            await asyncio.sleep(self._manner.pause_seconds)
            await self._send(event)

    async def _send(self, event: dict[str, object]) -> None:
        rendered = dump({"event_id": new_id("event_"), **event}).decode()
        await self._socket.send_str(rendered)
        self._request.app[PROGRESS].events += 1
        self._request.app[PROGRESS].bytes_written += len(rendered)


ROUTES: Final = (web.get("/v1/realtime", open_session, allow_head=False),)
