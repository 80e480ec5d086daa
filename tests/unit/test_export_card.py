"""The model card: its numbers are those of the files, bad is said to be bad, what is not known is said to be so."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from fluxatlas.cli import main
from fluxatlas.files import file_hash
from fluxatlas.systems import get_system
from fluxatlas.train.member import Member
from fluxatlas.train.networks import Architecture, HierarchicalNetwork

SITES = [["A", 40.0, 5.0], ["B", 40.1, 5.0], ["C", 50.0, 9.0]]
R2 = {"network": [-0.4, -0.2, 0.1], "process": [0.2, 0.3, 0.4]}


@pytest.fixture
def run(tmp_path) -> Path:
    """The folder of a run: two members of windows, which have no ONNX but a card, samples, observations, scores."""
    root, rng = tmp_path / "run", np.random.default_rng(1)
    names = ("tas", "rsds", "lai", "co2", "clay", "soc")
    series = {n: (("site", "time"), rng.uniform(1, 2, (4, 30)).astype("f4")) for n in names[:4]}
    series |= {n: (("site",), np.array([10, 20, 30, 40], "f4")) for n in names[4:]}
    place = {"lat": [10.0, 10.0, 20.0, 30.0], "lon": [1.0, 1.0, 2.0, 3.0]}
    fixed = {name: (("site",), values) for name, values in place.items()}
    fixed["first_day"] = (("site",), np.array(["2001-01-01"] * 3 + ["2003-01-01"], "datetime64[ns]"))
    (root / "synthesize").mkdir(parents=True)
    xr.Dataset(series | fixed).to_netcdf(root / "synthesize" / "samples.nc")
    (root / "ingest" / "sites").mkdir(parents=True)
    days = pd.date_range("2002-03-01", periods=5)
    seen = pd.concat([pd.DataFrame({"site": s, "time": days, "variable": "nee", "value": 1.0}) for s in "ABZ"])
    seen.to_parquet(root / "ingest" / "sites" / "observations.parquet")
    used = {"samples": root / "synthesize" / "samples.nc"}
    used["observations"] = root / "ingest" / "sites" / "observations.parquet"
    meta = {"inputs": {name: file_hash(path) for name, path in used.items()}, "sites": SITES, "version": "9.9"}
    meta |= {"commit": "abc", "span": ["2001-01-01", "2003-12-31"], "settings": {"seed": 4}, "ladder": "calibrated"}
    for number in (0, 1):
        torch.manual_seed(number)
        shape = Architecture(cell="transformer", hidden=4, window=5, theta={"light": float(number)})
        member = Member(
            HierarchicalNetwork(get_system("toy_system:TOY"), shape), "4km", None, {**meta, "member": number}
        )
        member.save(root / "train" / "members" / f"{number}.pt")
    return root


def score(run: Path) -> None:
    """Tables of skill in which the process model is better than the network."""
    (run / "evaluate").mkdir()
    rows = [
        {"model": model, "target": "nee", "site": site, "scale": "daily", "n": 9, "r2": value, "rmse": 1.0}
        for model, values in R2.items()
        for (site, *_), value in zip(SITES, values, strict=True)
    ]
    pd.DataFrame(rows).to_csv(run / "evaluate" / "site_scores.csv", index=False)
    base = {"target": "nee", "subset": "all", "protocol": "balanced", "scale": "daily", "sites": 3, "clusters": 2}
    rows = [
        {"model": "network", "against": None, "score": "r2", "value": -0.25, "low": -0.5, "high": 0.1, **base},
        {"model": "process", "against": None, "score": "r2", "value": 0.3, "low": 0.1, "high": 0.4, **base},
        {"model": "network", "against": "process", "score": "rmse", "value": 0.4, "low": 0.2, "high": 0.6, **base},
    ]
    pd.DataFrame(rows).to_csv(run / "evaluate" / "protocols.csv", index=False)


def card(run: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, dict]:
    output = run.parent / "card"
    monkeypatch.setattr(sys, "argv", ["fluxatlas", "export", "card", str(run), "--output", str(output)])
    with pytest.raises(SystemExit) as done:
        main()
    assert not done.value.code
    text = (output / "model_card.json").read_text("utf-8")
    assert "NaN" not in text
    return (output / "model_card.md").read_text("utf-8"), json.loads(text)


def test_the_numbers_are_those_of_the_files(run, monkeypatch) -> None:
    score(run)
    text, data = card(run, monkeypatch)
    facts = data["facts"]
    assert text.startswith("# Model card: Net carbon exchange of a toy\n")
    assert "4 series of 30 days of the process model at 3 places between 10.00 and 30.00 N" in text
    assert "3 sites in 2 clusters (50 km apart or more)" in text and facts["clusters"] == 2
    assert "| nee | 2 | 10 | 2002-03-01 | 2002-03-05 |" in text.replace("net carbon exchange", "nee")  # Z was not used
    assert [row["seed"] for row in facts["members"]] == [4, 5]
    assert [row["forms of the process model"] for row in facts["members"]] == ["light linear", "light halved"]
    assert facts["members"][1]["hash"] == file_hash(run / "train" / "members" / "1.pt")
    assert facts["inputs_seen"]["clay"] == [10, 40] and "| clay |" in text
    assert facts["quartiles"][0]["r2"] == pytest.approx([-0.3, -0.2, -0.05])
    assert facts["fluxes"][0]["unit"] == "g m-2 d-1" and facts["synthetic"] is False
    assert "Licence: not stated: the run has no product." in text


def test_bad_skill_is_said_to_be_bad(run, monkeypatch) -> None:
    score(run)
    text, data = card(run, monkeypatch)
    refused = " ".join(data["facts"]["not_for"])
    assert (
        "R2 -0.25 (-0.50 to 0.10) over 3 sites, bad: the mean of all sites does better; worse than process" in refused
    )
    assert "half of the sites left out have an R2 below -0.20" in refused
    assert "| -0.20 (bad) |" in text and "2 of 3" in text


def test_what_is_not_known_is_said_to_be_so(run, monkeypatch) -> None:
    """No scores; samples and observations that are not those of training; a hidden truth, so a made-up world."""
    (run / "evaluate").mkdir()
    (run / "evaluate" / "truth.csv").write_text("year\n")
    with xr.open_dataset(run / "synthesize" / "samples.nc") as data:
        other = data.load().assign(tas=data["tas"] + 1)
    other.to_netcdf(run / "synthesize" / "samples.nc")
    (run / "ingest" / "sites" / "observations.parquet").unlink()
    text, data = card(run, monkeypatch)
    assert text.startswith("# Model card: Synthetic Earth (not real): ") and "MADE UP" in text
    assert "## Pretraining\n\nnot known: the file is not beside the members" in text
    assert "Days of observations: not known" in text and "mean less and plus two standard deviations" in text
    assert text.count("Not evaluated.") == 4 and data["facts"]["skill"] is None
    assert "it was not evaluated at sites left out" in text and "Not judged: no sample" in text
