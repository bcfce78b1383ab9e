"""How often the gates are wrong: real changes and bent copies of them, judged and counted."""
