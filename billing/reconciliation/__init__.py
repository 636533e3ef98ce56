"""Ours against the vendor's, group by group: every difference named, the whole proved to a difference of 0."""
