"""Train the small autoencoder of the tiny presets."""
