"""REST under /api/v1: routers by area, one door for problems, one for callers."""
