"""Downloading a study: from a server that redirects, breaks off, refuses, changes its mind or serves something else."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from kedro.config import OmegaConfigLoader
from local_server import Server

from kedro_project import REPOSITORY
from kpnn.cells.formats.tenx_h5_writing import write_tenx_h5
from kpnn.errors import KpnnError, SettingsError
from kpnn.pipelines.download import nodes
from kpnn.pipelines.download.fetching import DownloadError
from kpnn.pipelines.download.nodes import LOCK
from kpnn.pipelines.download.settings import DownloadSettings
from kpnn.pipelines.validation import validated

EDGES = b"parent,child\nTCR,ZAP70\n" + b"".join(b"ZAP70,G%05d_gene\n" % n for n in range(8000))
LABELS = b"barcode,TCR\nc1,0\nc2,1\nc3,1\n"


@pytest.fixture
def server():
    started = Server({"Edges.csv": EDGES, "Labels.csv": LABELS})
    yield started
    started.http.shutdown()
    started.http.server_close()


@pytest.fixture
def parameters(server, tmp_path):
    return {
        "address": server.address,
        "folder": str(tmp_path / "study"),
        "files": {
            "Edges.csv": {"kind": "edges", "expect": {"edges": 8001, "outputs": ["TCR"], "inputs": 8000}},
            "Labels.csv": {"kind": "class_labels", "expect": {"cells": 3, "positives": {"TCR": 2}}},
        },
        "attempts": 3,
        "first_wait_seconds": 0.01,
        "timeout_seconds": 5,
    }


def download_study(parameters):
    return nodes.download_study(validated(DownloadSettings, parameters, "download"))


def files_in(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_files_come_from_where_the_address_redirects_to_and_are_locked(server, parameters, tmp_path):
    report = download_study(parameters)
    folder = tmp_path / "study"
    assert report["address"] == server.address + "papers/study/"
    assert (folder / "Edges.csv").read_bytes() == EDGES
    assert files_in(folder) == ["Edges.csv", "Labels.csv", LOCK]
    locked = json.loads((folder / LOCK).read_text())
    assert locked == {
        "Edges.csv": hashlib.sha256(EDGES).hexdigest(),
        "Labels.csv": hashlib.sha256(LABELS).hexdigest(),
    }
    json.dumps(report)


def test_files_that_are_there_are_not_fetched_again(server, parameters):
    download_study(parameters)
    server.requests.clear()
    report = download_study(parameters)
    assert server.requests == []
    assert not any(entry["fetched"] for entry in report["files"].values())


def test_a_connection_that_breaks_off_is_continued_where_it_ended(server, parameters, tmp_path):
    server.break_off_after = [40_000, 30_000]
    download_study(parameters)
    assert (tmp_path / "study" / "Edges.csv").read_bytes() == EDGES
    ranges = [asked for path, asked in server.requests if path.endswith("Edges.csv")]
    assert ranges == [None, "bytes=40000-", "bytes=70000-"]


def test_a_partial_file_of_an_earlier_call_is_continued(server, parameters, tmp_path):
    parameters["attempts"] = 1
    server.break_off_after = [50_000]
    with pytest.raises(DownloadError, match="after 50,000 bytes; gave up after 1 attempts"):
        download_study(parameters)
    assert "Edges.csv" not in files_in(tmp_path / "study")
    download_study(parameters)
    assert (tmp_path / "study" / "Edges.csv").read_bytes() == EDGES
    assert server.requests[-2][1] == "bytes=50000-"


def test_a_partial_file_is_not_continued_when_the_file_on_the_server_has_changed(server, parameters, tmp_path):
    parameters["attempts"] = 1
    server.break_off_after = [50_000]
    with pytest.raises(DownloadError):
        download_study(parameters)
    changed = EDGES.replace(b"ZAP70", b"LCKLC")
    server.files["Edges.csv"] = changed
    download_study(parameters)
    assert (tmp_path / "study" / "Edges.csv").read_bytes() == changed


def test_a_server_without_ranges_starts_from_the_beginning(server, parameters, tmp_path):
    server.ranges = False
    server.break_off_after = [50_000]
    download_study(parameters)
    assert (tmp_path / "study" / "Edges.csv").read_bytes() == EDGES


def test_a_server_without_etags_is_continued_too(server, parameters, tmp_path):
    server.etag = False
    server.break_off_after = [50_000]
    download_study(parameters)
    assert (tmp_path / "study" / "Edges.csv").read_bytes() == EDGES


def test_a_server_that_is_busy_is_asked_again(server, parameters, tmp_path):
    server.refuse = [503, 429]
    download_study(parameters)
    assert (tmp_path / "study" / "Edges.csv").read_bytes() == EDGES


def test_a_server_that_stays_busy_is_given_up_with_its_answer(server, parameters, tmp_path):
    server.refuse = [503] * 10
    with pytest.raises(DownloadError, match=r"Edges.csv: HTTP 503 .* gave up after 3 attempts"):
        download_study(parameters)
    assert [name for name in files_in(tmp_path / "study") if "partial" not in name] == []


def test_a_file_that_is_not_there_is_named_at_once(server, parameters):
    del server.files["Labels.csv"]
    with pytest.raises(DownloadError, match=r"papers/study/Labels.csv: HTTP 404"):
        download_study(parameters)
    assert sum(path.endswith("Labels.csv") for path, _ in server.requests) == 1


def test_no_server_at_all_is_a_clear_error(parameters):
    parameters["address"] = "http://127.0.0.1:9/"
    with pytest.raises(DownloadError, match="no connection"):
        download_study(parameters)


@pytest.mark.parametrize("address", ["", "nonsense", "ftp:/x"])
def test_an_address_that_is_none_is_a_clear_error(parameters, address):
    parameters["address"] = address
    with pytest.raises(KpnnError):
        download_study(parameters)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>moved</html>", "Edges.csv: is not what it should be"),
        (
            EDGES[: len(EDGES) // 2 // 18 * 18 + 5],
            "Edges.csv: (does not hold what the study says|is not what it should be)",
        ),
        (EDGES + b"TCR2,ZAP70\n", r"Edges.csv: does not hold what the study says: edges 8002 instead of 8001"),
        (b"", "Edges.csv: is not what it should be"),
        (b"\x89HDF\r\n\x1a\n", "Edges.csv: is not what it should be"),
    ],
)
def test_a_wrong_file_is_refused_and_leaves_nothing(server, parameters, tmp_path, content, message):
    server.files["Edges.csv"] = content
    with pytest.raises(DownloadError, match=message):
        download_study(parameters)
    assert files_in(tmp_path / "study") == []


def test_one_wrong_file_keeps_all_the_others_back(server, parameters, tmp_path):
    server.files["Labels.csv"] = b"barcode,TCR\nc1,0\n"
    with pytest.raises(DownloadError, match="cells 1 instead of 3"):
        download_study(parameters)
    assert [name for name in files_in(tmp_path / "study") if not name.endswith((".partial", ".state"))] == []


def test_a_second_download_must_match_the_lock(server, parameters, tmp_path):
    download_study(parameters)
    (tmp_path / "study" / "Labels.csv").unlink()
    server.files["Labels.csv"] = LABELS.replace(b"c3", b"c4")
    with pytest.raises(DownloadError, match=r"Labels.csv: SHA-256 .* is locked"):
        download_study(parameters)
    assert "Labels.csv" not in files_in(tmp_path / "study")


def test_a_file_that_was_changed_after_it_was_locked_is_an_error(parameters, tmp_path):
    download_study(parameters)
    (tmp_path / "study" / "Labels.csv").write_bytes(LABELS.replace(b"c3", b"c4"))
    with pytest.raises(DownloadError, match=r"Labels.csv: SHA-256"):
        download_study(parameters)


def test_a_fingerprint_in_the_parameters_must_match(parameters):
    parameters["files"]["Labels.csv"]["sha256"] = "0" * 64
    with pytest.raises(DownloadError, match="where 0000"):
        download_study(parameters)


def test_a_damaged_lock_is_named(parameters, tmp_path):
    download_study(parameters)
    (tmp_path / "study" / LOCK).write_text("{")
    with pytest.raises(DownloadError, match=LOCK):
        download_study(parameters)


def test_expression_files_are_opened_and_measured(server, parameters, tmp_path):
    counts = sp.csr_matrix(np.eye(3, 5, dtype=np.int32))
    genes = pd.Index(list("abcde"))
    write_tenx_h5(tmp_path / "x.h5", counts, pd.Index(["c1", "c2", "c3"]), genes, genes, layout="genome")
    server.files["Data.h5"] = (tmp_path / "x.h5").read_bytes()
    server.files["Data.csv"] = b"gene,c1,c2\na,1,2\nb,0,0\nd,0,1\n"
    parameters["files"] = {
        "Data.h5": {"kind": "expression", "expect": {"cells": 3, "genes": 5}},
        "Data.csv": {"kind": "expression", "expect": {"cells": 2, "genes": 3}},
    }
    report = download_study(parameters)
    assert report["files"]["Data.h5"]["holds"] == {"cells": 3, "genes": 5}
    (tmp_path / "study" / "Data.h5").unlink()
    server.files["Data.h5"] = server.files["Data.h5"][:-200]
    (tmp_path / "study" / LOCK).unlink()
    with pytest.raises(DownloadError, match=r"Data.h5: is not what it should be"):
        download_study(parameters)


@pytest.mark.parametrize(("env", "n_files"), [("base", 0), ("tcr", 3), ("sim1", 3), ("sim2", 3)])
def test_the_studies_that_the_project_knows_have_valid_settings(env, n_files):
    config = OmegaConfigLoader(str(REPOSITORY / "conf"), base_env="base", default_run_env=env)
    settings = DownloadSettings(**config["parameters"]["download"])
    assert len(settings.files) == n_files
    if n_files:
        raw = {entry: config["catalog"][entry]["filepath"] for entry in ("raw_expression", "class_labels", "edges")}
        assert sorted(raw.values()) == sorted(f"{settings.folder}/{name}" for name in settings.files)


def test_without_a_study_the_pipeline_says_how_to_choose_one():
    with pytest.raises(SettingsError, match="--env tcr"):
        download_study({})


@pytest.mark.parametrize("name", ["../evil.csv", "a/b.csv", ".hidden", ""])
def test_a_file_name_cannot_leave_the_folder(parameters, name):
    parameters["files"][name] = {"kind": "edges"}
    with pytest.raises(SettingsError, match="not a plain file name"):
        download_study(parameters)
