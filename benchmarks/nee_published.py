"""Net ecosystem exchange at unseen towers beside the published per-site scores of CarbonFluxBench, tower by tower.

    python benchmarks/nee_published.py RUN SCORES... [--write]

RUN is a finished ``config/examples/nee_europe.yaml`` (its ``evaluate/site_scores.csv``); SCORES are the folders ``v2``
and ``v1`` of ``baselines/eval_results`` of CarbonFluxBench (arXiv:2603.09868). It is not one test: the published target
is that of another friction-velocity threshold (USTAR50; ours is REF), and drivers, years, towers to learn from and
folds are others. ``--write`` writes the result.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import machine
import numpy as np
import pandas as pd

TARGETS = {"nee": "NEE_VUT_USTAR50", "gpp": "GPP_NT_VUT_USTAR50", "reco": "RECO_NT_VUT_USTAR50"}
GRIDDED = "micasa"


def published(folder: Path) -> pd.DataFrame:
    """Median, least and greatest R2 by tower and target over models and splits; of the gridded product the median."""
    parts = [pd.read_csv(path) for path in sorted(folder.glob("*.csv"))]
    every = pd.concat(parts, ignore_index=True)
    every["site"] = every["site"].str.split("_").str[-1]
    gridded = every["model"] == GRIDDED
    groups = every[~gridded].groupby(["target", "site"])["R2"]
    found = pd.DataFrame({"median": groups.median(), "least": groups.min(), "most": groups.max(), "n": groups.size()})
    return found.assign(gridded=every[gridded].groupby(["target", "site"])["R2"].median())


def own(run: Path) -> pd.DataFrame:
    """R2 of days by target, site (rows) and model (columns)."""
    scores = pd.read_csv(run / "evaluate/site_scores.csv")
    return scores[scores["scale"] == "daily"].pivot(index=["target", "site"], columns="model", values="r2")


def section(name: str, target: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> list[str]:
    """The table of one target beside the scores called ``name``: a row per tower that both have, and medians."""
    both = ours.loc[target].join(theirs.loc[TARGETS[target]], how="inner")
    models = [name for name in ("network", "trees", "stacked", "process", "own_season") if name in ours]
    columns = [*models, "median", "least", "most", "gridded"]
    heads = [*models, "published: median", "least", "most", "MiCASA"]
    rows = [f"| tower | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for tower, values in [*both[columns].iterrows(), (f"median of {len(both)}", both[columns].median())]:
        cells = (f"{value:.2f}" if np.isfinite(value) else "" for value in values)
        rows.append(f"| {tower} | {' | '.join(cells)} |")
    count = f"{int(both['n'].min())} to {int(both['n'].max())}" if len(both) else "no"
    return [f"\n## R2 of days, `{target}`, beside {name}\n", f"{count} published scores a tower.\n", *rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("scores", type=Path, nargs="+")
    parser.add_argument("--write", action="store_true", help="write the result file")
    asked = parser.parse_args()
    ours, theirs = own(asked.run), {folder.name: published(folder) for folder in asked.scores}
    lines = [line for target in TARGETS for name in theirs for line in section(name, target, ours, theirs[name])]
    head = "Net ecosystem exchange at unseen towers beside published scores of the same towers"
    measured = (
        "another target (USTAR50), other drivers, years, towers to learn from and folds: comparable, not the same test."
    )
    machine.report("nee_published", head, lines, asked.write, measured)


if __name__ == "__main__":
    main()
