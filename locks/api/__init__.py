"""REST, under /api/v1/locks/."""
