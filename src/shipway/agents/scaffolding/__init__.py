"""From a service plan to everything that the project template says: names, types, code fragments."""
