"""Preloaded by the server that workers are forked from: imports what they need once instead of in each worker."""

from data_prep.pool import end_with_parent

end_with_parent()
