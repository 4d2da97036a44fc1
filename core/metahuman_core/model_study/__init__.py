"""Study by a model in Ollama: it says what to ask and what answers; what the memory bears out is kept, nothing else."""
