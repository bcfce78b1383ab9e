"""A typed client for a server: ``Client(url, token).send(calls.view_run("12"))``, or ``AsyncClient``."""

from shipway.client.client import AsyncClient, Client

__all__ = ["AsyncClient", "Client"]
