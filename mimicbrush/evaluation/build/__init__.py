"""Makes benchmark sets in the released layout from photographs anyone can get, and checks them."""
