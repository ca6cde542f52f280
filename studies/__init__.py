"""How trials are proposed, scheduled and recorded; what a run folder holds, and what is computed from it."""
