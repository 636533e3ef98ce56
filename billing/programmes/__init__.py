"""Programmes: pilots with a start, an end, places, a waiting list, a budget, allowed models and rules."""
