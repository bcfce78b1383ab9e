"""Settings in, a wired system out: the only room that knows every other; each process loads its part."""
