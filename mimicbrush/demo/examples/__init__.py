"""Examples of edits on the tabs of the page: what a visitor would give, and what it makes."""
