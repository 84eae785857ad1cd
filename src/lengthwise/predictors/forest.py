"""A random forest as arrays: grown by scikit-learn, saved and evaluated without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lengthwise.predictors.base import Arrays

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestRegressor

Doubles = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Forest:
    """Regression trees, all their m nodes in a row.

    Attributes:
        roots: [t] the first node of each tree.
        feature: [m] what an inner node compares.
        threshold: [m] up to which it goes left.
        left, right: [m] where it goes; a leaf's are itself.
        value: [m] mean of the training answers in the node.
    """

    roots: Ints
    feature: Ints
    threshold: Doubles
    left: Ints
    right: Ints
    value: Doubles

    @classmethod
    def fit(
        cls, features: NDArray[np.float32], targets: NDArray[np.number], seed: int, **options: Any
    ) -> tuple[Forest, Doubles]:
        """A forest of features [n, f] → targets [n], and its predictions out of the bag, [n].

        Out of the bag means by the trees that have not seen the row. Options are
        scikit-learn's.
        """
        from sklearn.ensemble import RandomForestRegressor

        grown = RandomForestRegressor(oob_score=True, random_state=seed, **options)
        grown.fit(features, targets)
        return cls.of(grown), grown.oob_prediction_

    @classmethod
    def of(cls, grown: RandomForestRegressor) -> Forest:
        """scikit-learn's forest as arrays."""
        trees = [each.tree_ for each in grown.estimators_]
        roots = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
        left, right = (
            np.concatenate(
                [_children(tree, root, side) for tree, root in zip(trees, roots, strict=True)]
            )
            for side in ("children_left", "children_right")
        )
        return cls(
            roots.astype(np.int32),
            # A leaf compares nothing; any feature will do.
            np.concatenate([np.maximum(tree.feature, 0) for tree in trees]).astype(np.int32),
            np.concatenate([tree.threshold for tree in trees]),
            left.astype(np.int32),
            right.astype(np.int32),
            np.concatenate([tree.value[:, 0, 0] for tree in trees]),
        )

    def predict(self, features: NDArray[np.float32]) -> Doubles:
        """The trees' mean, as scikit-learn has it: [n, f] → [n]."""
        rows = np.arange(len(features))[:, None]
        node = np.tile(self.roots, (len(features), 1))
        while True:
            goes_left = features[rows, self.feature[node]] <= self.threshold[node]
            below = np.where(goes_left, self.left[node], self.right[node])
            if np.array_equal(below, node):
                means: Doubles = self.value[node].mean(axis=1)
                return means
            node = below

    def arrays(self) -> Arrays:
        """For a predictor's state."""
        return {f"forest.{name}": value for name, value in vars(self).items()}

    @classmethod
    def restore(cls, arrays: Arrays) -> Forest:
        """From a predictor's state.

        Raises:
            KeyError, ValueError: if it is not there, or no forest: asking it could go on for ever.
        """
        names = ("roots", "feature", "threshold", "left", "right", "value")
        forest = cls(*(arrays[f"forest.{name}"] for name in names))
        nodes = len(forest.value)
        if any(len(getattr(forest, name)) != nodes for name in names[1:]):
            raise ValueError("a forest's nodes need a feature, a threshold and children each")
        if not len(forest.roots) or not _within(forest.roots, 0, nodes):
            raise ValueError("a forest's trees must begin at its nodes")
        # Children come after their parent, so that every walk ends.
        itself = np.arange(nodes)
        inner = (forest.left != itself) | (forest.right != itself)
        for child in (forest.left, forest.right):
            if not _within(child[inner], itself[inner] + 1, nodes):
                raise ValueError("a tree's children must come after their parent")
        return forest


def _within(index: Ints, low: int | NDArray[np.int64], high: int) -> bool:
    return bool(((index >= low) & (index < high)).all())


def _children(tree: Any, root: int, side: str) -> NDArray[np.int64]:
    child, itself = getattr(tree, side), np.arange(tree.node_count)
    moved: NDArray[np.int64] = root + np.where(child < 0, itself, child)
    return moved
