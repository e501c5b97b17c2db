"""How fast, and where the time goes. Ratios within one run on one machine are what counts."""
