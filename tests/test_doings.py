"""Long work tells how far it has come."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from kpnn.doings import counted, telling, told, within


def test_all_that_goes_on_is_told_and_nothing_that_is_over():
    with telling(lambda: "one"), telling(lambda: ""), telling(lambda: "three"):
        assert told() == "one; three"
    assert told() == ""


def test_work_that_failed_is_not_told_of_while_its_error_is_kept():
    with (
        pytest.raises(ValueError, match=r"^letter 2 of 2$") as kept,
        counted(["a", "b"], "letter") as letters,
    ):
        for letter in letters:
            if letter == "b":
                raise ValueError(told())
    assert kept.value is not None
    assert told() == ""


def test_what_work_is_part_of_stands_before_it_even_where_another_thread_asks():
    with within("repeat_0_fold_1"):
        with within("trials 1 to 5 of 9"), counted([1], "network") as networks:
            next(networks)
            with ThreadPoolExecutor(1) as threads:
                assert threads.submit(told).result() == "repeat_0_fold_1, trials 1 to 5 of 9: network 1 of 1"
        with telling(lambda: "over"):
            assert told() == "repeat_0_fold_1: over"
    with telling(lambda: "alone"):
        assert told() == "alone"


def test_networks_in_training_tell_their_epochs():
    from kpnn.nn import TrainingSettings, build_kpnn, fit_kpnns
    from kpnn.pkn import Dag

    edges = pd.DataFrame({"parent": ["TCR", "ZAP70"], "child": ["ZAP70", "CD69_gene"]})
    dag, cells = Dag.from_edges(edges, outputs=["TCR"]), pd.DataFrame({"CD69": [0.0, 0.2, 2.5, 3.0]})
    heard = []

    def stop_the_first_after_two(place: int, epoch: int, _: float) -> bool:
        heard.append((place, told()))
        return (place, epoch) != (0, 2)

    fit_kpnns(
        [build_kpnn(dag, seed=seed) for seed in (1, 2)],
        cells,
        [0, 0, 1, 1],
        training_rows=[np.arange(4)] * 2,
        settings=TrainingSettings(max_epochs=3),
        callback=stop_the_first_after_two,
    )
    assert heard[0] == (0, "2 of 2 networks still train, 1 epoch so far")
    assert heard[2] == (0, "2 of 2 networks still train, 2 epochs so far")
    assert heard[-1] == (1, "1 of 2 networks still trains, 3 epochs so far")
    assert told() == ""
