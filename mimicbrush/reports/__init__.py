"""HTML pages, charts and contact sheets for every report in the project."""
