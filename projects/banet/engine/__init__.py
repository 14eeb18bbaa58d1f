"""Around a training: its start, work dir, hooks and curves."""
