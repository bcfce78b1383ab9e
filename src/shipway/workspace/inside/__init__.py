"""What runs inside a fence before and beside the command: standard library only."""
