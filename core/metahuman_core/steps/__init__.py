"""The heavy steps of a cycle. Only `cycle.py` imports them: they cost 700 MB and seconds."""
