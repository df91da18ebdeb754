"""Which experts do the work, and for what: a router that sends everything to one of them has learned nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLLAPSED = 0.01
"""An expert with less of the load than this is as good as not there."""


def summary(weights: NDArray[np.float64], types: Sequence[str]) -> dict[str, Any]:
    """Sum up the weights [S, B·E] of the experts in sequences (`scoring.route`), of `types` each.

    Returns JSON: the `load` of each expert, `fired`, how many weigh at least COLLAPSED in a sequence on average, the
    heat map `types` with the load of each expert by type, and `collapsed`, the numbers (from 0) of the idle experts.
    """
    load = weights.mean(0)
    names = np.array(types)
    return {
        "load": load.round(4).tolist(),
        "fired": round(float((weights >= COLLAPSED).sum(1).mean()), 2),
        "types": {str(name): weights[names == name].mean(0).round(4).tolist() for name in np.unique(names)},
        "collapsed": np.flatnonzero(load < COLLAPSED).tolist(),
    }
