"""One module for each kind of edit: the options of its subcommand, and the request that they describe."""
