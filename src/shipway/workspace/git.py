"""Git as the rest of Shipway sees it: hubs, workspaces, and the user's repository."""

from shipway.workspace.hub import Capture, Hub, Strategy, Workspace
from shipway.workspace.repository import (
    RepositoryFacts,
    create_repository,
    inspect,
    integrated,
    publish,
    settle,
    tip,
)

__all__ = [
    "Capture",
    "Hub",
    "RepositoryFacts",
    "Strategy",
    "Workspace",
    "create_repository",
    "inspect",
    "integrated",
    "publish",
    "settle",
    "tip",
]
