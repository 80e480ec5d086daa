"""What the page of a run says in words: totals and skill, bad skill called bad, and where Snakemake's report opens."""

import pandas as pd
import pytest

from fluxatlas.files import __version__
from fluxatlas.products.about import About
from fluxatlas.report.opening import open_on
from fluxatlas.report.summary import write_summary
from fluxatlas.report.verdicts import called, comparison, judgement, total
from fluxatlas.style import between, fixed, number, percent
from fluxatlas.systems import get_system

SYSTEM = get_system("soil_methane_sink")
NAN = float("nan")


def protocols(r2, trees, others=()):
    """Rows of evaluate/protocols.csv: the network's R2 and differences of RMSE to other models, (value, low, high)."""
    rows = [("network", None, "balanced", "r2", *r2), ("network", None, "pooled", "r2", 0.99, 0.9, 1.0)]
    rows += [("trees", None, "balanced", "r2", 0.4, 0.2, 0.6), ("network", "trees", "balanced", "rmse", *trees)]
    rows += [("network", name, "balanced", "rmse", *values) for name, *values in others]
    rows += [("network", None, "ceiling", "r2", 0.66, 0.6, 0.7)]
    table = pd.DataFrame(rows, columns=["model", "against", "protocol", "score", "value", "low", "high"])
    return table.assign(target="fch4", subset="all", scale="daily", sites=7, clusters=5, unit="mg m-2 d-1")


def test_bad_skill_is_said_to_be_bad() -> None:
    text = judgement(protocols((-0.31, -0.9, -0.1), (0.4, 0.1, 0.7)), SYSTEM)
    assert "R2 -0.31 (-0.90 to -0.10) over 7 sites, bad: the mean of all sites does better" in text
    assert "worse than gradient-boosted trees" in text
    few = judgement(protocols((-0.31, NAN, NAN), (0.4, NAN, NAN)), SYSTEM)  # below five clusters there is no interval
    assert "seems worse than gradient-boosted trees; too few places for intervals" in few and "(" not in few
    assert "0.99" not in text + few  # what few long records decide is not what is said


def test_good_skill_and_what_cannot_be_told_apart() -> None:
    others = [("network_no_pretraining", -0.2, -0.3, -0.1), ("process", -0.9, -1.0, -0.8)]
    text = judgement(protocols((0.4, 0.2, 0.6), (-0.1, -0.3, 0.2), others), SYSTEM)
    assert "better than the mean of all sites" in text and "worse" not in text
    assert "better than the network without pretraining and process model with its prior" in text
    assert "not distinguishable from gradient-boosted trees" in text
    bound = judgement(protocols((0.4, 0.2, 0.6), (-0.1, -0.3, 0.2), [*others, ("own_season", 0.5, 0.4, 0.6)]), SYSTEM)
    assert bound == text  # a bound has seen what it predicts: nobody is judged by it
    assert judgement(protocols((0.4, 0.2, 0.6), (0, -1, 1)).assign(target="nee"), SYSTEM) == ""


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ((0.2, 0.1, 0.3), "worse than"),
        ((-0.2, -0.3, -0.1), "better than"),
        ((0.2, -0.1, 0.3), "not distinguishable from"),
        ((0.2, NAN, NAN), "seems worse than"),
        ((-0.2, NAN, NAN), "seems better than"),
    ],
)
def test_a_difference_counts_where_its_interval_does_not_hold_zero(row, word) -> None:
    assert comparison(dict(zip(("value", "low", "high"), row, strict=True))) == word


def test_numbers_can_be_read() -> None:
    assert [number(x) for x in (0.0123456, 1234567.0, -2.5, 0, 99.96, 3e-9)] == [
        *("0.0123", "1,234,567", "-2.50", "0", "100.0", "3.00e-09")
    ]
    assert [number(x, sign=True) for x in (-4.5368e-06, 0.195, -1234.5)] == ["-4.54e-06", "+0.195", "-1,234"]
    assert number(NAN) == fixed(NAN) == percent(NAN) == "–" and between(NAN, 1) == ""
    assert percent(0.876) == "88 %" and fixed(0.5, sign=True) == "+0.50"
    assert called("ch4ox", SYSTEM) == "CH4 uptake" and called("swc05", SYSTEM) == "soil water, 5 cm"
    assert called("unheard_of", SYSTEM) == "unheard_of"


def test_the_page_begins_with_findings_run_period_version_and_inputs(tmp_path) -> None:
    budget = pd.DataFrame(
        {
            "year": [2007, 2008],
            "region_kind": "global",
            "region": "Walnut Gulch",
            "variable": "ch4ox",
            "mean": [0.5, 0.7],
            "sd": 0.1,
            "low": [0.4, 0.6],
            "high": [0.6, 0.8],
            "area_m2": 1e9,
            "unit": "Tg yr-1",
        }
    )
    assert total(budget, SYSTEM) == "CH4 uptake: 0.600 Tg yr-1 of CH4 (0.500 to 0.700)"
    budget.to_csv(tmp_path / "budget.csv", index=False)
    protocols((-0.31, -0.9, -0.1), (0.4, 0.1, 0.7)).to_csv(tmp_path / "protocols.csv", index=False)
    prior = [("A", "fch4", 9, 0.0, 0.4, "soc"), ("B", "fch4", 9, 1.0, 0.9, ""), ("all", "fch4", 2, 0.5, NAN, "")]
    columns = ["site", "target", "n", "mean_inside", "days_inside", "outside"]
    pd.DataFrame(prior, columns=columns).to_csv(tmp_path / "prior.csv", index=False)
    tables = {name: tmp_path / f"{name}.csv" for name in ("budget", "protocols", "prior")}
    about = About("gulch", "Walnut Gulch", inputs=("forcing: Livneh et al. (2015)",))
    write_summary(tmp_path / "page.html", system=SYSTEM, about=about, **tables)
    lines = [line for line in (tmp_path / "page.md").read_text().splitlines() if line]
    assert lines[0] == f"# {SYSTEM.title}"
    assert lines[1].startswith("CH4 uptake: 0.600 Tg yr-1") and "worse than gradient-boosted trees" in lines[1]
    assert lines[2].startswith(f"run gulch · Walnut Gulch · 2007–2008 · fluxatlas {__version__} (")
    assert "- forcing: Livneh et al. (2015)" in lines[3:6]
    text = "\n".join(lines)
    assert "## Budget: Walnut Gulch" in text and "nan" not in text
    assert "| gradient-boosted trees | 0.40 (0.20 to 0.60) | – | – | 0.40 (0.10 to 0.70) | worse than it |" in text
    assert "A perfect model would reach 0.66" in text
    assert "| net CH4 flux, upward | 2 | 50 % | – |" in text and "Soils outside of the samples: A (soc)." in text
    page = (tmp_path / "page.html").read_text()
    assert page.index("worse than gradient-boosted trees") < page.index("<h2>") and "MADE UP" not in page
    write_summary(tmp_path / "page.html", system=SYSTEM, about=About("demo", "x", True), **tables)
    page = (tmp_path / "page.html").read_text()
    assert "<h1>Synthetic Earth" in page and page.index("MADE UP") < page.index("<h2>")


def test_snakemakes_report_opens_on_the_page_of_numbers(tmp_path) -> None:
    page = tmp_path / "report.html"
    page.write_text("<html><body><script>var results = {};</script></body></html>")
    open_on(page, "summary.html")
    text = page.read_text()
    assert text.count("</body>") == 1 and text.endswith("</body></html>")
    assert text.index("var results") < text.index('endsWith("/summary.html")') < text.index("</body>")
    page.write_text("another form")
    open_on(page, "summary.html")
    assert page.read_text() == "another form"


def test_what_is_not_known_is_a_dash_and_one_site_is_not_several() -> None:
    from fluxatlas.style import signed

    one = judgement(protocols((NAN, NAN, NAN), (0.1, NAN, NAN)).assign(sites=1), SYSTEM)
    assert one == "too few days at 1 unseen site to judge the network"
    assert "over 1 site, better" in judgement(protocols((0.4, NAN, NAN), (0.1, NAN, NAN)).assign(sites=1), SYSTEM)
    assert (signed(NAN), signed(-0.001), signed(-0.5)) == ("–", "0.00", "−0.50")
