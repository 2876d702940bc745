"""How good are embeddings? Logistic regression on top of them tells."""

import numpy as np


def linear_probe(
    features: np.ndarray, labels: np.ndarray, learn: np.ndarray, strength: float = 0.1
) -> float:
    """Top-1 accuracy of logistic regression on frozen, standardised embeddings.

    Args:
        features: (N, D) embeddings.
        labels: (N,) classes.
        learn: (N,) bool, True where the regression learns; it is tested on the others.
        strength: inverse of the regularisation, scikit-learn's C.

    Returns:
        The share of the tested rows that are classified rightly, 0 to 1.
    """
    # scikit-learn takes a second to import, which not every user of this package needs.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    head = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    head.fit(features[learn], labels[learn])
    return float(head.score(features[~learn], labels[~learn]))
