"""Registry, disk and Ollama held against each other; nothing is repaired."""
