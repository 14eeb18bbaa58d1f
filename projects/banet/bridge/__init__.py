"""The papers: tensors in, tensors out. Imports no other room."""
