# twin: the whole chain on two worlds with a hidden truth, kind and realistic, and one table of what it found.
# A world is a run of its own, with its own folder <results>/twin/<world>-<seed>; not part of `all`.
# Out: <results>/twin/twin.csv; <results>/evaluate/{site_truth.parquet,truth_sites.csv} of each world; by `snakemake constraint_twin` <results>/twin/constraint/{runs.csv,tests.csv,twin.png}

TWINS = [
    f"{world}-{seed}" for world in ("kind", "realistic") for seed in RUN.twin_seeds
]


rule twin:
    input:
        truth=expand("<results>/twin/{twin}/evaluate/truth.csv", twin=TWINS),
        sites=expand("<results>/twin/{twin}/evaluate/truth_sites.csv", twin=TWINS),
    output:
        "<results>/twin/twin.csv",
    log:
        "<results>/logs/twin/twin.log",
    benchmark:
        "<results>/benchmarks/twin/twin.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        worlds=each("--world", RUN.paths("twin", "{twin}"), twin=TWINS),
        version=STAGE_VERSIONS["evaluate"],
    shell:
        "fluxatlas twin table {params.worlds:q} --output {output:q} 2> {log:q}"


rule constraint_twin:  # towers and sums of regions in a small world of its own; nothing of the run but its folder
    output:
        "<results>/twin/constraint/runs.csv",
        "<results>/twin/constraint/tests.csv",
        "<results>/twin/constraint/twin.png",
    log:
        "<results>/logs/twin/constraint.log",
    benchmark:
        "<results>/benchmarks/twin/constraint.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(120),
    params:
        folder=subpath(output[0], parent=True),
        version=STAGE_VERSIONS["train"],
    shell:
        "fluxatlas twin constraint --output {params.folder:q} 2> {log:q}"


rule twin_world:
    output:
        "<results>/twin/{world}-{seed}/evaluate/truth.csv",
        "<results>/twin/{world}-{seed}/evaluate/truth_sites.csv",
        "<results>/twin/{world}-{seed}/evaluate/truth.nc",
    log:
        "<results>/logs/twin/{world}-{seed}.log",
    benchmark:
        "<results>/benchmarks/twin/{world}-{seed}.tsv"
    wildcard_constraints:
        world="kind|realistic",
        seed=r"\d+",
    conda:
        "../envs/fluxatlas.yaml"
    threads: 4
    resources:
        mem_mb=memory(8000),
        runtime=minutes(240),
    params:
        settings=twin_settings,
        version=" ".join(f"{stage}={n}" for stage, n in STAGE_VERSIONS.items()),
    shell:
        "fluxatlas twin world --settings {params.settings:q} --cores {threads:q} 2> {log:q}"


if RUN.has_synthetic_sites:

    rule site_truth:
        output:
            "<results>/evaluate/site_truth.parquet",
        log:
            "<results>/logs/evaluate/site_truth.log",
        benchmark:
            "<results>/benchmarks/evaluate/site_truth.tsv"
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=minutes(10),
        params:
            settings=settings("site_truth"),
            system=RUN.system.key,
            bbox=RUN.bbox,
            start=RUN.training_years[0],
            end=RUN.training_years[-1],
            hidden=repeat("--variable", RUN.config.experiments.hidden),
            version=STAGE_VERSIONS["synthesize"],  # made by the process model
        shell:
            "fluxatlas ingest synthetic-earth site-truth --settings {params.settings:q} --system {params.system:q}"
            " --bbox {params.bbox:q} --start {params.start:q} --end {params.end:q} {params.hidden:q} --output {output:q} 2> {log:q}"

    rule truth_sites:
        input:
            members=expand("<trained>/predictions/{member}.parquet", member=MEMBERS),
            baselines=expand(
                "<trained>/baselines/{baseline}.parquet",
                baseline=RUN.config.train.baselines,
            ),
            truth="<results>/evaluate/site_truth.parquet",
        output:
            "<results>/evaluate/truth_sites.csv",
        log:
            "<results>/logs/evaluate/truth_sites.log",
        benchmark:
            "<results>/benchmarks/evaluate/truth_sites.tsv"
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=minutes(10),
        params:
            settings=settings("truth_sites"),
            members=each("--predictions", RUN.prediction(), member=MEMBERS),
            baselines=lambda wc, input: repeat("--predictions", input.baselines),
            version=STAGE_VERSIONS["evaluate"],
        shell:
            "fluxatlas evaluate truth-sites --settings {params.settings:q} {params.members:q} {params.baselines:q}"
            " --truth {input.truth:q} --output {output:q} 2> {log:q}"
