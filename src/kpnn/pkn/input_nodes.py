"""Names of input nodes: a gene's name and a suffix, which tells the gene from the protein that it encodes."""

from __future__ import annotations


def gene_of(node: str, suffix: str) -> str:
    """The gene that an input node stands for: its name without the suffix, whatever underscores it holds.

    Args:
        node: name of an input node.
        suffix: what it has after its gene's name; a name that does not end so is the gene's.

    Returns:
        The gene's name.

    Examples:
        >>> gene_of("HLA_A_gene", "_gene")
        'HLA_A'
    """
    return node.removesuffix(suffix)
