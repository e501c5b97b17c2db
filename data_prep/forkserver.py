"""Imported by the server alone that workers are forked from: what takes seconds to import, and its end."""

import data_prep.video  # noqa: F401
import mimicbrush.data.shards  # noqa: F401
from data_prep.pool import end_with_parent

end_with_parent()
