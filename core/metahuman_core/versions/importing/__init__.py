"""A registry of the original MetaHuman, taken over with the files that are there."""
