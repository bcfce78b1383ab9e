"""What agents and the engine say to each other: one strict, versioned contract per capability."""
