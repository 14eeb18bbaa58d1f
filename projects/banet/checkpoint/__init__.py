"""Weights as files: read safely, recognise, convert."""
