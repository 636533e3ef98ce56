"""What a month or a year would have cost by other prices, another model, or seats."""
