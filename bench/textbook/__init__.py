"""The textbook: each client a consumer in a channel-layer group, on stock Daphne. Measured against, never run else."""
