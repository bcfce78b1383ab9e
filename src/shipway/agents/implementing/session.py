"""A program for the inside of the fence: one session with an agent that speaks ACP, told as JSON lines.

It runs beside the agent, behind the same walls: whatever the agent asks it to write it could not
write anywhere else either. Run as ``python -m shipway.agents.implementing.session PROMPT CMD ...``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import acp
from acp.schema import (
    AgentMessageChunk,
    AllowedOutcome,
    ClientCapabilities,
    DeniedOutcome,
    FileSystemCapabilities,
    PermissionOption,
    RequestPermissionResponse,
    ToolCallStart,
    ToolCallUpdate,
    UsageUpdate,
)

#: Bytes of one message; the protocol library's own limit ends sessions over a larger file.
_LARGEST_MESSAGE = 1 << 24
_ALLOWING = ("allow_once", "allow_always")


def tell(kind: str, **facts: Any) -> None:
    """One line for the engine outside."""
    sys.stdout.write(json.dumps({"event": kind, **facts}) + "\n")
    sys.stdout.flush()


class _Watcher:
    """Answers the agent at once: nobody is there to be asked, and the fence holds whatever it does."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def request_permission(
        self, session_id: str, tool_call: ToolCallUpdate, options: list[PermissionOption], **_: Any
    ) -> RequestPermissionResponse:
        allowed = next((one for one in options if one.kind in _ALLOWING), None)
        tell("permission", what=tool_call.title or "", allowed=allowed is not None)
        if allowed is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        outcome = AllowedOutcome(outcome="selected", option_id=allowed.option_id)
        return RequestPermissionResponse(outcome=outcome)

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        if isinstance(update, AgentMessageChunk):
            tell("said", text=str(getattr(update.content, "text", ""))[:500])
        elif isinstance(update, ToolCallStart):
            tell("tool", what=update.title)
        elif isinstance(update, UsageUpdate):
            cost = update.cost.amount if update.cost is not None else None
            tell("usage", cost=cost)

    async def write_text_file(self, session_id: str, path: str, content: str, **_: Any) -> None:
        place = self._place(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content, encoding="utf-8")
        tell("wrote", path=str(place.relative_to(self._root)))

    async def read_text_file(
        self,
        session_id: str,
        path: str,
        line: int | None = None,
        limit: int | None = None,
        **_: Any,
    ) -> acp.ReadTextFileResponse:
        lines = self._place(path).read_text(encoding="utf-8").splitlines(keepends=True)
        first = (line or 1) - 1
        last = None if limit is None else first + limit
        return acp.ReadTextFileResponse(content="".join(lines[first:last]))

    def _place(self, path: str) -> Path:
        place = (self._root / path).resolve()
        if not place.is_relative_to(self._root) or ".git" in place.relative_to(self._root).parts:
            raise acp.RequestError.invalid_params({"path": "it leads out of the project"})
        return place


async def session(prompt: str, command: list[str], root: Path) -> None:
    """One prompt, to the agent's own end of its turn."""
    capabilities = ClientCapabilities(
        fs=FileSystemCapabilities(read_text_file=True, write_text_file=True)
    )
    watcher: Any = _Watcher(root)  # it does less than the protocol allows, and says so above
    async with acp.spawn_agent_process(
        watcher,
        command[0],
        *command[1:],
        cwd=root,
        env=os.environ,
        transport_kwargs={"limit": _LARGEST_MESSAGE, "stderr": None},
    ) as (agent, _process):
        await agent.initialize(
            protocol_version=acp.PROTOCOL_VERSION, client_capabilities=capabilities
        )
        opened = await agent.new_session(cwd=str(root), mcp_servers=[])
        answer = await agent.prompt(session_id=opened.session_id, prompt=[acp.text_block(prompt)])
        used = answer.usage
        tell(
            "end",
            stop_reason=answer.stop_reason,
            input_tokens=used.input_tokens if used else 0,
            output_tokens=used.output_tokens if used else 0,
        )


def main(arguments: list[str]) -> int:
    prompt = Path(arguments[0]).read_text(encoding="utf-8")
    try:
        asyncio.run(session(prompt, arguments[1:], Path.cwd().resolve()))
    except acp.RequestError as error:
        tell("fault", what=f"the agent answered with error {error.code}")
        return 1
    except (ConnectionError, EOFError, ValueError) as error:
        tell("fault", what=f"the agent does not speak the protocol: {type(error).__name__}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
