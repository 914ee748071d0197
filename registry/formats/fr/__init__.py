"""Formats of the French pages."""
