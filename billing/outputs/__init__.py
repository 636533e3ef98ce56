"""Statements as files that people keep: PDF, spreadsheet, CSV, archive; FOCUS rows and journals; and their check."""
