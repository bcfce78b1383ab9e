"""``shipway serve``: the API as a process that an operator can start, watch, drain and replace."""
