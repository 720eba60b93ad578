"""Inputs spread evenly over the parents that each may have: semi-matchings with least sum of squared loads."""

from __future__ import annotations


def spread_evenly(choices: list[tuple[int, list[int], int]], fixed: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Assigns inputs to parents so that the sum of squared loads is least.

    Greedy first, then loads move along cost-reducing paths until there is none, which is optimal for such
    semi-matchings (Harvey et al. 2006, doi:10.1016/j.jalgor.2004.04.003).

    Args:
        choices: (input, possible parents, how many of them to take).
        fixed: (parent, input) edges that are there already.

    Returns:
        (parent, input) edges.
    """
    load: dict[int, int] = {}
    for parent, _ in fixed:
        load[parent] = load.get(parent, 0) + 1
    options = {gene: others for gene, others, _ in choices}
    taken: dict[int, set[int]] = {}
    of: dict[int, set[int]] = {}
    for gene, others, missing in sorted(choices, key=lambda choice: (len(choice[1]), choice[0])):
        best = sorted(others, key=lambda code: (load.get(code, 0), code))[:missing]
        taken[gene] = set(best)
        for code in best:
            load[code] = load.get(code, 0) + 1
            of.setdefault(code, set()).add(gene)
    settled: set[int] = set()
    for start in sorted(load, key=lambda code: (-load[code], code)):
        while start not in settled:
            path = _moves_to_lighter(start, load, options, taken, of)
            if path is None:
                settled.add(start)
                break
            for giver, gene, receiver in path:
                taken[gene].remove(giver)
                of[giver].remove(gene)
                taken[gene].add(receiver)
                of.setdefault(receiver, set()).add(gene)
            load[start] -= 1
            load[path[-1][2]] = load.get(path[-1][2], 0) + 1
    return [(parent, gene) for gene in sorted(taken) for parent in sorted(taken[gene])]


def _moves_to_lighter(
    start: int,
    load: dict[int, int],
    options: dict[int, list[int]],
    taken: dict[int, set[int]],
    of: dict[int, set[int]],
) -> list[tuple[int, int, int]] | None:
    """A chain of moves (giver, input, receiver) from `start` to a parent with a load at least two smaller."""
    came: dict[int, tuple[int, int]] = {start: (-1, -1)}
    queue = [start]
    for giver in queue:
        for gene in sorted(of.get(giver, ())):
            for receiver in options[gene]:
                if receiver in came or receiver in taken[gene]:
                    continue
                came[receiver] = (giver, gene)
                if load.get(receiver, 0) <= load[start] - 2:
                    path = []
                    while receiver != start:
                        giver_of, gene_of = came[receiver]
                        path.append((giver_of, gene_of, receiver))
                        receiver = giver_of
                    return path[::-1]
                queue.append(receiver)
    return None
