"""Usage to money: prices, rating, statements, invoices, reconciliation."""
