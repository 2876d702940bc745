"""AutoGluon Tabular on embeddings; started by a Python that has it, so nothing of ours is here.

python rival_tabular.py EMBEDDINGS.npz MODELS SECONDS PRESETS ANSWERS.npz
"""

import sys

import numpy as np
import pandas as pd
from autogluon.tabular import TabularPredictor

LABEL = "label"


def main(embeddings: str, models: str, seconds: str, presets: str, answers: str) -> None:
    """Learn `known` (N, D) with `labels` (N,), and answer `test` (T, D) with (T, C)."""
    with np.load(embeddings) as content:
        known, labels, test = content["known"], content["labels"], content["test"]
    table = pd.DataFrame(known).add_prefix("e")
    table[LABEL] = labels
    predictor = TabularPredictor(LABEL, path=models, eval_metric="accuracy")
    predictor.fit(table, time_limit=float(seconds), presets=presets)
    found = predictor.predict_proba(pd.DataFrame(test).add_prefix("e"))
    np.savez(answers, test=found[sorted(found.columns)].to_numpy(np.float32))


if __name__ == "__main__":
    main(*sys.argv[1:])
