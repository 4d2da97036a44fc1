"""From memories to samples, without a model: judging, choosing, studying, writing `dataset.jsonl`."""
