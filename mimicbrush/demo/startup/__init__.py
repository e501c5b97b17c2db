"""How the page starts: few requests and compressed answers, for slow lines."""
