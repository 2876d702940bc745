"""What a training learns: an objective a file, and the table of them."""

from finegrain.errors import no_such
from finegrain.training.objectives.arcface import ArcFace
from finegrain.training.objectives.multi_loss import MultiLoss
from finegrain.training.objectives.objective import Objective
from finegrain.training.objectives.softmax import Softmax

ROWS: tuple[Objective, ...] = (Softmax(), MultiLoss(), ArcFace())


def find_objective(name: str) -> Objective:
    """The objective of a name.

    Raises:
        UserError: there is none.
    """
    by_name = {row.name: row for row in ROWS}
    if name not in by_name:
        raise no_such("objective", name, name, {key: key for key in by_name})
    return by_name[name]
