"""Publishing to an Ollama server: what a model is there, the client, the act, and templates for old servers."""
