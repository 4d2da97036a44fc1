"""What `[retention]` keeps of each version: the policy, the facts, a verdict for each with its reasons."""
