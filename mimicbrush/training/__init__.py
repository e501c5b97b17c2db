"""Train the network: loss, Lightning module, callbacks, and checks before a run."""
