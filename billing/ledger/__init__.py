"""Periods, the append-only ledger, closing a month and correcting what was closed."""
