"""Preloaded by the server that workers are forked from: imports what they need once instead of in each worker."""

import data_prep.clips.clip_to_pairs
import data_prep.photographs.source_to_pairs
import data_prep.stills.still_to_pairs  # noqa: F401
from data_prep.sharding.pool import end_with_parent

end_with_parent()
