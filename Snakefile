# fluxatlas: from raw climate forcing to a daily land-flux product.
#
#   snakemake --cores 2                                                  the embedded default (config/config.yaml)
#   snakemake --cores 2 --configfile config/examples/walnut_gulch_2008.yaml
#   snakemake --cores 2 results/demo/infer/N36W008/2001.nc              one tile-year alone
#
# Rules hold paths and call the command line; all logic is in src/fluxatlas and tested there.
import re
import sys

from snakemake.utils import min_version

min_version("9.10")

if not workflow.configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/ingest.smk"
include: "workflow/rules/regrid.smk"
include: "workflow/rules/synthesize.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/infer.smk"
include: "workflow/rules/products.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        expand(
            "<results>/products/daily/{variable}_{year}.nc",
            variable=RUN.variables,
            year=YEARS,
        ),
        "<results>/products/stac/catalog.json",
        "<results>/report/summary.html",


onsuccess:
    # not a rule: Snakemake's own report is made from the finished workflow
    import subprocess

    page = RUN.paths("report.html")
    again = [
        sys.executable,
        "-m",
        "snakemake",
        "--report",
        page,
        "--nolock",
        "--quiet",
        "--cores",
        "1",
    ]
    again += [
        part
        for file in workflow.configfiles
        for part in ("--configfile", str(file))
    ]
    failed = subprocess.run(again, capture_output=True, text=True).returncode
    print(RUN.farewell(None if failed else page))
