"""What persons decide about breaks, and what of it is charged."""
