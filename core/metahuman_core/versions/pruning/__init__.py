"""Carries retention out: tombstone, Ollama's tag, registry, files; and finishes what was broken off."""
