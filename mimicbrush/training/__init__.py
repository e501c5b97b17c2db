"""Loss, Lightning module and callbacks."""
