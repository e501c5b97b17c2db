"""Where a network's weights come from and go to: pretrained parts, released files, exported folders, training runs."""
