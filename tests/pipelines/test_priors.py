"""Public knowledge is fetched, read, locked, and its licence noted; the server is a local one."""

import hashlib
import io
import json
import zipfile

import pytest
from kedro.config import OmegaConfigLoader
from local_server import Server

from kedro_project import REPOSITORY
from kpnn.errors import SettingsError
from kpnn.pipelines.download.fetching import DownloadError
from kpnn.pipelines.priors import create_pipeline, nodes
from kpnn.pipelines.priors.nodes import LICENCES, LOCK
from kpnn.pipelines.priors.settings import PriorsSettings
from kpnn.pipelines.validation import validated
from kpnn.pkn.readers import read_edges

OMNIPATH = b"source_genesymbol\ttarget_genesymbol\tis_directed\tis_stimulation\tis_inhibition\n" + b"".join(
    b"P%d\tP%d\t%d\t1\t0\n" % (n, n + 1, n % 10 != 0) for n in range(200)
)
GMT = b"IFN\tR-HSA-2\tIRF1\tMX1\n"
QUERY = "interactions?datasets=omnipath&genesymbols=1"


def zipped(name, content):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, content)
    return packed.getvalue()


@pytest.fixture
def server():
    started = Server({QUERY: OMNIPATH, "r.gmt.zip": zipped("r.gmt", GMT), "names.txt": b"R-HSA-2\tInterferon\n"})
    yield started
    started.http.shutdown()
    started.http.server_close()


@pytest.fixture
def parameters(server, tmp_path):
    return {
        "folder": str(tmp_path / "study"),
        "files": {
            "omnipath.tsv": {
                "address": server.address + QUERY,
                "licence": "academic use",
                "reference": "Someone 2021",
                "at_least": 180,
                "options": {"undirected": "drop"},
            },
            "r.gmt.zip": {
                "address": server.address + "r.gmt.zip",
                "licence": "CC0",
                "options": {"columns": {"parent": "description"}},
            },
            "names.txt": {"address": server.address + "names.txt", "licence": "CC0", "kind": "names"},
        },
        "attempts": 2,
        "first_wait_seconds": 0.01,
        "timeout_seconds": 5,
    }


def fetch(parameters):
    return nodes.fetch_priors(validated(PriorsSettings, parameters, "priors"))


@pytest.mark.parametrize("chunked", [False, True])
def test_knowledge_is_fetched_read_locked_and_its_licence_noted(server, parameters, tmp_path, chunked):
    server.chunked = chunked
    report = fetch(parameters)["files"]
    folder = tmp_path / "study"
    assert (folder / "omnipath.tsv").read_bytes() == OMNIPATH
    assert report["omnipath.tsv"]["holds"]["edges"] == 180
    assert "omnipath.tsv: 200 edges read as a table, 180 kept" in report["omnipath.tsv"]["holds"]["said"]
    assert report["names.txt"]["holds"]["names"] == 1
    assert json.loads((folder / LOCK).read_text()) == {name: entry["sha256"] for name, entry in report.items()}
    assert report["omnipath.tsv"]["sha256"] == hashlib.sha256(OMNIPATH).hexdigest()
    note = (folder / LICENCES).read_text()
    assert f"omnipath.tsv\n{server.address}{QUERY}\nSHA-256 {report['omnipath.tsv']['sha256']}" in note
    assert "Licence: academic use\nReference: Someone 2021" in note
    assert list(read_edges(folder / "r.gmt.zip", columns={"parent": "description"})["parent"]) == ["R-HSA-2"] * 2
    json.dumps(report)


def test_what_is_there_is_left_alone_and_what_is_wanted_can_be_chosen(server, parameters, tmp_path):
    fetch({**parameters, "wanted": ["names.txt"]})
    assert (tmp_path / "study" / LICENCES).read_text().startswith("names.txt")
    server.requests.clear()
    report = fetch({**parameters, "wanted": ["names.txt", "r.gmt.zip"]})["files"]
    assert [path for path, _ in server.requests] == ["/r.gmt.zip"]
    assert [entry["fetched"] for entry in report.values()] == [True, False]
    assert [
        line for line in (tmp_path / "study" / LICENCES).read_text().splitlines() if line.endswith((".txt", ".zip"))
    ]
    assert not (tmp_path / "study" / "omnipath.tsv").exists()
    with pytest.raises(SettingsError, match=r"no file name.txt; did you mean names.txt\?"):
        fetch({**parameters, "wanted": ["name.txt"]})


def test_knowledge_that_has_grown_since_is_not_taken_for_the_same(server, parameters, tmp_path):
    fetch(parameters)
    (tmp_path / "study" / "omnipath.tsv").unlink()
    server.files[QUERY] = OMNIPATH + b"A\tB\t1\t1\t0\n"
    with pytest.raises(DownloadError, match=rf"omnipath.tsv: SHA-256 .* is locked.*remove its line from {LOCK}"):
        fetch(parameters)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"<html>Something went wrong</html>",
            "omnipath.tsv: is not what it should be: omnipath.tsv: is a web page, not a text table",
        ),
        (OMNIPATH[: len(OMNIPATH) // 2 // 10 * 10 - 3], "omnipath.tsv: "),
        (b"Error: unknown dataset\n", "omnipath.tsv: is not what it should be"),
    ],
    ids=["web_page", "half", "error"],
)
def test_what_is_no_network_or_too_small_is_refused_and_leaves_nothing(server, parameters, tmp_path, content, message):
    server.files[QUERY] = content
    with pytest.raises(DownloadError, match=message):
        fetch(parameters)
    assert [
        path.name for path in (tmp_path / "study").iterdir() if not path.name.endswith((".partial", ".state"))
    ] == []


def test_an_answer_without_a_length_that_breaks_off_is_not_taken_for_whole(server, parameters, tmp_path):
    server.chunked, server.break_off_after = True, [1]
    fetch(parameters)
    assert (tmp_path / "study" / "omnipath.tsv").read_bytes() == OMNIPATH
    assert sum(path.endswith(QUERY) for path, _ in server.requests) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"address": "ftp://x"}, "must begin with http"),
        ({"sha256": "abc"}, "64 hexadecimal digits"),
        ({"options": {"undircted": "drop"}}, r"options.undircted: no such option; did you mean undirected\?"),
        ({"at_least": 0}, "at_least"),
    ],
)
def test_settings_that_make_no_sense_are_named(parameters, change, message):
    parameters["files"]["omnipath.tsv"] |= change
    with pytest.raises(SettingsError, match=message):
        fetch(parameters)


def test_the_project_knows_the_usual_sources_with_their_licences():
    config = OmegaConfigLoader(str(REPOSITORY / "conf"), base_env="base", default_run_env="base")
    settings = PriorsSettings(**config["parameters"]["priors"])
    assert create_pipeline().inputs() == {"params:priors"}
    assert create_pipeline().outputs() <= set(config["catalog"])
    assert {"omnipath.tsv", "collectri.tsv", "hallmark.gmt", "ReactomePathwaysRelation.txt"} <= set(settings.files)
    assert all(
        file.address.startswith("https://") and file.licence and file.reference for file in settings.files.values()
    )
