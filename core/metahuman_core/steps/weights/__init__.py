"""One pass over a base's weights: merged, hashed, written, converted and quantised while the next are read."""
