"""How an amount of a statement came about, walked back to the events."""
