"""Load, convert and export weights: pretrained parts, released files, exported folders, training runs, LoRA files."""
