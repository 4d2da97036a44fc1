"""Forgetting: finds the memories that a person means, has them erased, and finishes what that entails."""
