"""Imports for the server that workers are forked from: whatever the workers need, once instead of in each worker."""

from data_prep.pool import end_with_parent

end_with_parent()
