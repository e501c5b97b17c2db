"""Editors: everything that answers an EditRequest with edited pictures."""
