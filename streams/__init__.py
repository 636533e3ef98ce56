"""The topic to usage tables: identity, attribution and sums of quantities; no money."""
