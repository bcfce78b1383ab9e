"""How a plan is made: one module for each question that a document or a repository must answer."""
