"""Quotas: limits on use by organisation, department or user, what counts against them, and alerts at thresholds."""
