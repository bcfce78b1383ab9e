"""`shipway check`: base and head of any repository before all gates that apply, with one outcome."""
