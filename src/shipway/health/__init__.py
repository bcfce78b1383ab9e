"""Health: the ground under this machine, and the checks of a process while it serves."""
