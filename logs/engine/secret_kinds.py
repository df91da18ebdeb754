"""All finders of secrets, in the order in which they run, and the kinds they tell apart."""

from __future__ import annotations

from logs.engine import secret_keyed, secret_numbers, secret_shapes

# Those of a group run as one pattern. What has a form of its own goes before what only its key gives away, and people's
# data go last: what a group has redacted is no text to the ones after it.
GROUPS = (secret_shapes.SHAPES, secret_keyed.FINDERS, (*secret_shapes.ADDRESSES, *secret_numbers.FINDERS))
KINDS = tuple(dict.fromkeys(kind for group in GROUPS for finder in group for kind in finder.kinds))
