"""Alerts: what is due, who is told, in which words, and when."""
