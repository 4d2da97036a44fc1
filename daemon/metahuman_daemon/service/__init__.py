"""The daemon: watches, decides, runs one job at a time."""
