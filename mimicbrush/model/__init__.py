"""The imitative and the reference U-Net, what conditions them, and how to sample from them."""
