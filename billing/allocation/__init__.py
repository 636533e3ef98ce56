"""Shared costs: named dated rules that say what is shared, in which measure, among which departments."""
