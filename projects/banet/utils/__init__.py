"""What every room may use; knows no network."""
