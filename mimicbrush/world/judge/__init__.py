"""Train the judge, which names objects and materials in evaluations of the small world."""
