"""Use a trained model: config, model, zoo, prediction, export."""
