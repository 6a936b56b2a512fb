"""REST, under /api/v1/auth/."""
