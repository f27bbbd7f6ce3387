"""Ranks images by cleanlab, the most suspicious label first.

reference_audit.py EMBEDDINGS.npy LABELS.txt prints a line NAME: ROW ROW … for each ranking. The
probabilities are those of scikit-learn's logistic regression on embeddings of length 1, out of
sample in 5 folds, as cleanlab's documentation recommends.
"""

import sys

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

embeddings = np.load(sys.argv[1]).astype(np.float64)
embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
labels = np.unique(np.loadtxt(sys.argv[2], dtype=int), return_inverse=True)[1]
for strength in (1, 10, 100):
    model = LogisticRegression(C=strength, max_iter=100)
    folds = StratifiedKFold(5, shuffle=True, random_state=1)
    probabilities = cross_val_predict(model, embeddings, labels, cv=folds, method="predict_proba")
    for by in ("self_confidence", "normalized_margin"):
        scores = get_label_quality_scores(labels, probabilities, method=by)
        order = np.argsort(scores, kind="stable")
        found = find_label_issues(labels, probabilities, return_indices_ranked_by=by, n_jobs=1)
        # What find_label_issues returns is ranked; the others follow in the order of their scores.
        first = np.concatenate([found, order[~np.isin(order, found)]]).astype(int)
        title = f"cleanlab, logistic regression with C = {strength}, by {by.replace('_', ' ')}"
        for name, rows in ((f"{title}: find_label_issues first", first), (f"{title}: scores alone", order)):
            print(name.replace(": ", ", ") + ": " + " ".join(map(str, rows)))
