"""Fetching vendors' months from their APIs: what to ask, what a page says comes next, and the asking. See README.md."""
