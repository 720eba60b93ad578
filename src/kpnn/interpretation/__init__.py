"""What a trained network's nodes, edges and genes contribute, how sure that is, and how stable."""

from kpnn.interpretation.arm import ArmWeights, weigh_arm
from kpnn.interpretation.rewired import train_rewired
from kpnn.interpretation.settings import InterpretationSettings
from kpnn.interpretation.significance import ActivityTest, HeldOutEvidence, activity_test
from kpnn.interpretation.stability import Agreement, agreement
from kpnn.interpretation.summary import agreement_of_arms, summarise_nodes, summarise_runs, summarise_stability
from kpnn.interpretation.trained_fold import TrainedFold
from kpnn.interpretation.weights import METHODS, gene_weights, node_weights

__all__ = [
    "METHODS",
    "ActivityTest",
    "Agreement",
    "ArmWeights",
    "HeldOutEvidence",
    "InterpretationSettings",
    "TrainedFold",
    "activity_test",
    "agreement",
    "agreement_of_arms",
    "gene_weights",
    "node_weights",
    "summarise_nodes",
    "summarise_runs",
    "summarise_stability",
    "train_rewired",
    "weigh_arm",
]
