#!/usr/bin/env bash
# Snakemake: where one output of a job has no record, changed params of its other outputs are not noticed.
#
# A job with two recorded outputs reruns after a change of its params, as documented. When the rule gains a third output
# whose file is already there (made by hand or by another tool, so nothing is recorded of it), the same change plans
# nothing: the records of the first two still say otherwise, but they are not asked any more, even where one of the two
# is the target. Seen with Snakemake 9.27.1. Exits non-zero when this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet snakemake==9.27.1
cd "$folder"
printf '%s\n' 'rule tables:' \
  '    output: "one.txt", "two.txt", *config.get("more", [])' \
  '    params: size=config["size"]' \
  '    shell: "for f in {output}; do echo {params.size} > $f; done"' > Snakefile
printf 'size: 1\n' > before.yaml
printf 'size: 2\n' > changed.yaml
printf 'size: 2\nmore: [three.txt]\n' > third.yaml
plan() { venv/bin/snakemake one.txt --dry-run --configfile "$1" 2>&1; }

venv/bin/snakemake one.txt --cores 1 --quiet all --configfile before.yaml
printf '1\n' > three.txt
touch -r one.txt three.txt
plan changed.yaml | grep "reason: Params have changed" || { echo "two records: the behaviour has changed"; exit 1; }
plan third.yaml | grep "Nothing to be done" || { echo "one record missing: the behaviour has changed"; exit 1; }
