"""The gate: what a version is asked, how its answers are scored, and whether it may go live. Nothing here is heavy."""
