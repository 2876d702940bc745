"""What a training learns: an objective a file, and the table of them."""

from finegrain.errors import no_such
from finegrain.training.objectives.all_pairs import AllPairs
from finegrain.training.objectives.arcface import ArcFace
from finegrain.training.objectives.multi_loss import MultiLoss
from finegrain.training.objectives.objective import Objective
from finegrain.training.objectives.pair_losses import PAIR_LOSSES
from finegrain.training.objectives.softmax import Softmax

ROWS: tuple[Objective, ...] = (
    Softmax(),
    MultiLoss(),
    ArcFace(),
    *(AllPairs(name) for name in PAIR_LOSSES),
)


def find_objective(name: str) -> Objective:
    """The objective of a name.

    Raises:
        UserError: there is none.
    """
    by_name = {row.name: row for row in ROWS}
    if name not in by_name:
        raise no_such("objective", name, name, {key: key for key in by_name})
    return by_name[name]
