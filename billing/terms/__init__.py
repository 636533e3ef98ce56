"""What a contract says beside prices: discounts, volume tiers, minimum fees, commitments."""
