"""What can be done with versions that were made: keep, move, rebuild, compare and check them."""
