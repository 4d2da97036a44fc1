"""What `bench/forgetting.py` is made of: what is learned, in which ways, what was kept of it, and what it shows."""
