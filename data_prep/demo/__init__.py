"""The demo's raw material, rendered offline from the photographs that come with scikit-image."""
