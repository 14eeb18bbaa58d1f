"""Look inside of a trained network: bridges, class activation, features."""
