"""Train on all backbones and on parts of them: what does each add?"""

import time
from collections.abc import Mapping

from finegrain.merging.merge_split import MergeSplit
from finegrain.merging.report_lines import comparison_lines, subsets
from finegrain.merging.training import Merged, MergedTraining, train_merged
from finegrain.models.merged import Branch


def compare(
    split: MergeSplit, taken: Mapping[str, Branch], training: MergedTraining, leave_one_out: bool
) -> Merged:
    """Train a classifier and print how it stands against those of fewer backbones.

    Args:
        split: the rows.
        taken: backbone -> branch.
        training: how each is trained.
        leave_one_out: whether to train those of fewer backbones.

    Returns:
        The classifier of all backbones.
    """
    started = time.monotonic()
    merged = train_merged(split, taken, training)
    seconds = time.monotonic() - started
    print(f"trained in {seconds:.1f} s ({training.classifier})\n", flush=True)
    label = f"all {len(taken)} merged" if len(taken) > 1 else merged.names[0]
    rows = [(label, merged.valid, merged.chosen)]
    for label, names in (subsets(list(taken)) if leave_one_out else {}).items():
        other = train_merged(split, {name: taken[name] for name in names}, training)
        rows.append((label, other.valid, other.chosen))
    print("\n".join(comparison_lines(rows)) + "\n", flush=True)
    return merged
