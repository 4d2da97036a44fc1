"""Readers for every shape in which people keep memories."""
