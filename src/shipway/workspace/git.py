"""Git as the rest of Shipway sees it: hubs, workspaces, and the user's repository."""

from shipway.workspace.gitcommand import line
from shipway.workspace.hub import Capture, Hub, Strategy, Workspace
from shipway.workspace.publishing import create_repository, publish, settle
from shipway.workspace.repository import RepositoryFacts, inspect, integrated, tip

__all__ = [
    "Capture",
    "Hub",
    "RepositoryFacts",
    "Strategy",
    "Workspace",
    "create_repository",
    "inspect",
    "integrated",
    "line",
    "publish",
    "settle",
    "tip",
]
