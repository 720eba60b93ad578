"""What a trained network's nodes, edges and genes contribute, how sure that is, and how stable."""

from kpnn.interpretation.arm import ArmWeights, Cells, Extent, TrainedFold, weigh_arm
from kpnn.interpretation.refit import control_inputs, rebuilt, refitted
from kpnn.interpretation.significance import benjamini_hochberg, permutation_p_values
from kpnn.interpretation.stability import Agreement, agreement
from kpnn.interpretation.summary import agreement_of_arms, summarise_nodes, summarise_stability
from kpnn.interpretation.weights import METHODS, gene_weights, node_weights

__all__ = [
    "METHODS",
    "Agreement",
    "ArmWeights",
    "Cells",
    "Extent",
    "TrainedFold",
    "agreement",
    "agreement_of_arms",
    "benjamini_hochberg",
    "control_inputs",
    "gene_weights",
    "node_weights",
    "permutation_p_values",
    "rebuilt",
    "refitted",
    "summarise_nodes",
    "summarise_stability",
    "weigh_arm",
]
