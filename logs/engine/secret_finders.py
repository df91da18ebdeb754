"""All finders of secrets, in the order in which they run, and the kinds they tell apart."""

from __future__ import annotations

from logs.engine import secret_keyed, secret_numbers, secret_shapes

# What has a form of its own goes before what only its key gives away, and numbers go last: what a finder has redacted
# is no text to the ones after it.
FINDERS = (*secret_shapes.HEADERS, *secret_shapes.KEYS, *secret_keyed.FINDERS, *secret_shapes.PERSONAL, *secret_numbers.FINDERS)
KINDS = tuple(dict.fromkeys(kind for finder in FINDERS for kind in finder.kinds))
