"""Imports for the server that workers are forked from: whatever the workers need, once instead of in each worker."""

import data_prep.still_shards
import data_prep.video_shards  # noqa: F401
from data_prep.pool import end_with_parent

end_with_parent()
