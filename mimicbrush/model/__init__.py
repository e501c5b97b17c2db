"""The imitative and the reference U-Net, their conditions, and sampling."""
