"""What a server's installation has beside runs, with the faces that it has here: releases, flags, crew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from shipway.client import calls
from shipway.client.client import Client
from shipway.contracts.fleet import AgentView, WorkerView
from shipway.contracts.views import ReleaseView
from shipway.domain.pipeline import Pipeline
from shipway.engine.pipelines.codec import from_json
from shipway.flags.editing import Edit
from shipway.flags.flag import Flag
from shipway.flags.keeping import Change
from shipway.release.record import Release, Status


class RemoteReleases:
    """What is deployed where the server is."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self) -> Sequence[Release]:
        page = self._client.send(calls.releases())
        found = page.items
        while page.next_cursor is not None:
            page = self._client.send(calls.releases(page.next_cursor))
            found = found + page.items
        return [_release(one) for one in found]

    def view(self, ref: str) -> Release:
        return _release(self._client.send(calls.release(ref)))

    def live(self, service: str) -> Release | None:
        return next(
            (one for one in self.list() if one.service == service and one.status is Status.LIVE),
            None,
        )

    def stop(self, ref: str | None = None, *, all: bool = False) -> Sequence[Release]:  # noqa: A002 - as it is called here
        asked = calls.stop_releases() if all or ref is None else calls.stop_release(ref)
        return [_release(one) for one in self._client.send(asked)]

    def rollback(self, service: str) -> Release:
        return _release(self._client.send(calls.rollback(service)))


def _release(view: ReleaseView) -> Release:
    return Release.from_dict(view.model_dump(mode="json"))


class RemoteFlags:
    """The flags of the server's installation; who changes one is what it makes of the token."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def all(self) -> dict[str, Flag]:
        return {one.key: one for one in self._client.send(calls.flags())}

    def get(self, key: str) -> Flag:
        return self._client.send(calls.flag(key))

    def change(self, key: str, edit: Edit, _by: str, why: str) -> Flag:
        """Raises ConflictError when somebody else changed it meanwhile."""
        version = self.get(key).version
        return self._client.send(calls.edit_flag(key, version, _edited(edit) | {"why": why}))

    def create(self, key: str, edit: Edit, _by: str, why: str) -> Flag:
        return self._client.send(calls.create_flag(_edited(edit) | {"key": key, "why": why}))

    def history(self, key: str) -> list[Change]:
        return [
            Change(
                datetime.fromisoformat(one["at"]).timestamp(),
                one["by"],
                one["why"],
                Flag.model_validate(one["flag"]),
            )
            for one in self._client.send(calls.flag_history(key))
        ]


def _edited(edit: Edit) -> dict[str, Any]:
    """What is to be different, as JSON."""
    return {
        one.name: _plain(getattr(edit, one.name))
        for one in fields(edit)
        if getattr(edit, one.name) is not None
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return value.isoformat() if hasattr(value, "isoformat") else value


class RemoteCrew:
    """Who does the work of the server's installation."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def workers(self) -> list[WorkerView]:
        return self._client.send(calls.workers())

    def agents(self) -> list[AgentView]:
        return self._client.send(calls.agents())

    def drain(self, ref: str, *, draining: bool) -> list[WorkerView]:
        return self._client.send(calls.drain(ref, draining=draining))


class RemoteContracts:
    """What the server's engine and agents say to each other."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def lines(self) -> list[dict[str, Any]]:
        return [
            {**one, "request": one["request"]["title"], "result": one["result"]["title"]}
            for one in self._client.send(calls.contracts())
        ]

    def text(self, capability: str, version: int) -> dict[str, Any]:
        return self._client.send(calls.contract(capability, version))


class RemotePipelines:
    """The definitions that the server has built in."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def lines(self) -> list[dict[str, Any]]:
        return self._client.send(calls.pipelines())

    def loaded(self, name: str) -> Pipeline:
        return from_json(self._client.send(calls.pipeline(name))["definition"])

    def source(self, name: str) -> str:
        return str(self._client.send(calls.pipeline(name))["source"])
