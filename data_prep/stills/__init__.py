"""From one annotated still to its samples: masks, and the strong augmentation that makes a pair."""
