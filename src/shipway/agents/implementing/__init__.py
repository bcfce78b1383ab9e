"""How a change is made by a model: one module for each way, and what all of them may do."""
