"""The HTTP API: what can be asked over the network, in which shape, and how it is answered."""
