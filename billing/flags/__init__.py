"""Governance flags: how often guardrails spoke, by department and month, without pointing at a person."""
