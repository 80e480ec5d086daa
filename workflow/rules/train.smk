# train: pretrain each member on synthetic samples, adapt it to the sites (its fold is predicted without its own sites); baselines beside them.
# In:  <results>/synthesize/samples.nc, site tables
#      with the block 'regional': <results>/ingest/constraints/{name}.nc, maps of regions, forcing pieces
# Out: <results>/train/members/{member}.pt, .../emulation/{member}.csv, <results>/train/predictions/{member}.parquet, .../baselines/{baseline}.parquet,
#      with train.ladder: weights and a strategy of phases each phase by itself: <results>/train/phases/{member}/{phase}.{pt,csv}
#      with the block 'regional': <results>/train/regional/{target,points}.nc


rule pretrain:
    input:
        "<results>/synthesize/samples.nc",
    output:
        member="<results>/train/pretrained/{member}.pt",
        history="<results>/train/history/{member}_pretrain.csv",
        emulation="<results>/train/emulation/{member}.csv",
    log:
        "<results>/logs/train/pretrain_{member}.log",
    benchmark:
        "<results>/benchmarks/train/pretrain_{member}.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=trained("pretrain", 240),
    params:
        settings=settings("pretrain"),
        grid=RUN.grid.name,
        system=RUN.system.key,
        checkpoint=lambda wc: RUN.paths(
            "train", "checkpoints", f"{wc.member}_pretrain.pt"
        ),
        version=STAGE_VERSIONS["train"],
    shell:
        "fluxatlas train pretrain --settings {params.settings:q} --system {params.system:q} --grid {params.grid:q}"
        " --member {wildcards.member:q} --samples {input:q} --output {output.member:q} --history {output.history:q}"
        " --emulation {output.emulation:q} --checkpoint {params.checkpoint:q} --threads {threads:q} 2> {log:q}"


rule finetune:
    input:
        pretrained="<results>/train/pretrained/{member}.pt",
        samples="<results>/synthesize/samples.nc",
        sites_attributes="<results>/regrid/sites_attributes.csv",
        sites_forcing="<results>/regrid/sites_forcing.parquet",
        observations="<results>/ingest/sites/observations.parquet",
        periods="<results>/ingest/sites/periods.parquet",
        series=RUN.series,
        regional=RUN.regional_files(),
        trained=(
            f"<results>/train/phases/{{member}}/{len(RUN.phases)}.pt"
            if RUN.phases
            else []
        ),
        trained_history=[
            f"<results>/train/phases/{{member}}/{number + 1}.csv"
            for number in range(len(RUN.phases))
        ],
    output:
        member="<results>/train/members/{member}.pt",
        predictions="<results>/train/predictions/{member}.parquet",
        intervals="<results>/train/intervals/{member}.csv",
        parameters="<results>/train/parameters/{member}.csv",
        history="<results>/train/history/{member}_finetune.csv",
    log:
        "<results>/logs/train/finetune_{member}.log",
    benchmark:
        "<results>/benchmarks/train/finetune_{member}.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=trained("finetune", 240, "member"),
    params:
        settings=settings("finetune"),
        series=RUN.series_options,
        gap=option("sites", "completion_gap_days"),
        regional=RUN.regional_options(),
        trained=lambda wc, input: repeat("--trained", input.trained)
        + repeat("--trained-history", list(input.trained_history)),
        checkpoint=lambda wc: RUN.paths(
            "train", "checkpoints", f"{wc.member}_finetune.pt"
        ),
        version=STAGE_VERSIONS["train"],
    shell:
        "fluxatlas train finetune --settings {params.settings:q} --member {wildcards.member:q}"
        " --pretrained {input.pretrained:q} --samples {input.samples:q} --sites-attributes {input.sites_attributes:q}"
        " --sites-forcing {input.sites_forcing:q} --observations {input.observations:q} --periods {input.periods:q} --output {output.member:q}"
        " --predictions {output.predictions:q} --intervals {output.intervals:q} --parameters {output.parameters:q}"
        " --history {output.history:q} --checkpoint {params.checkpoint:q}"
        " {params.series:q} --completion-gap-days {params.gap:q} {params.regional:q} {params.trained:q} --threads {threads:q} 2> {log:q}"


if RUN.phases:

    rule phase:  # one phase of the strategy, from what the one before left
        input:
            before=lambda wc: (
                "<results>/train/pretrained/{member}.pt"
                if wc.phase == "1"
                else f"<results>/train/phases/{{member}}/{int(wc.phase) - 1}.pt"
            ),
            pretrained="<results>/train/pretrained/{member}.pt",
            samples="<results>/synthesize/samples.nc",
            sites_attributes="<results>/regrid/sites_attributes.csv",
            sites_forcing="<results>/regrid/sites_forcing.parquet",
            observations="<results>/ingest/sites/observations.parquet",
            periods="<results>/ingest/sites/periods.parquet",
            series=RUN.series,
        output:
            network="<results>/train/phases/{member}/{phase}.pt",
            history="<results>/train/phases/{member}/{phase}.csv",
        log:
            "<results>/logs/train/phase_{member}_{phase}.log",
        benchmark:
            "<results>/benchmarks/train/phase_{member}_{phase}.tsv"
        wildcard_constraints:
            phase=r"\d+",
        conda:
            "../envs/fluxatlas.yaml"
        threads: 1
        resources:
            mem_mb=memory(4000),
            runtime=trained("phase", 240),
        params:
            settings=settings("phase"),
            series=RUN.series_options,
            gap=option("sites", "completion_gap_days"),
            checkpoint=lambda wc: RUN.paths(
                "train", "checkpoints", f"{wc.member}_phase_{wc.phase}.pt"
            ),
            version=STAGE_VERSIONS["train"],
        shell:
            "fluxatlas train phase --settings {params.settings:q} --member {wildcards.member:q} --phase {wildcards.phase:q}"
            " --before {input.before:q} --pretrained {input.pretrained:q} --samples {input.samples:q}"
            " --sites-attributes {input.sites_attributes:q} --sites-forcing {input.sites_forcing:q}"
            " --observations {input.observations:q} --periods {input.periods:q} --output {output.network:q}"
            " --history {output.history:q} --checkpoint {params.checkpoint:q} {params.series:q}"
            " --completion-gap-days {params.gap:q} --threads {threads:q} 2> {log:q}"


rule ensemble:  # one small file for inference to depend on, instead of every member in each of its many jobs
    input:
        expand("<results>/train/members/{member}.pt", member=MEMBERS),
    output:
        "<results>/train/ensemble.json",
    log:
        "<results>/logs/train/ensemble.log",
    benchmark:
        "<results>/benchmarks/train/ensemble.tsv"
    localrule: True
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        members=each("--member", RUN.member(), member=MEMBERS),
        version=STAGE_VERSIONS["train"],
    shell:
        "fluxatlas train ensemble {params.members:q} --output {output:q} 2> {log:q}"


rule baseline:
    input:
        samples="<results>/synthesize/samples.nc",
        sites_attributes="<results>/regrid/sites_attributes.csv",
        sites_forcing="<results>/regrid/sites_forcing.parquet",
        observations="<results>/ingest/sites/observations.parquet",
        periods="<results>/ingest/sites/periods.parquet",
        series=RUN.series,
        regional=lambda wc: RUN.regional_files(wc.baseline),
    output:
        "<results>/train/baselines/{baseline}.parquet",
    log:
        "<results>/logs/train/baseline_{baseline}.log",
    benchmark:
        "<results>/benchmarks/train/baseline_{baseline}.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=trained("baseline", 240, "baseline"),
    params:
        settings=settings("baseline"),
        series=RUN.series_options,
        gap=option("sites", "completion_gap_days"),
        regional=lambda wc: RUN.regional_options(wc.baseline),
        grid=RUN.grid.name,
        system=RUN.system.key,
        version=STAGE_VERSIONS["train"],
    shell:
        "fluxatlas train baselines --settings {params.settings:q} --system {params.system:q} --grid {params.grid:q}"
        " --samples {input.samples:q} --sites-attributes {input.sites_attributes:q}"
        " --sites-forcing {input.sites_forcing:q} --observations {input.observations:q} --periods {input.periods:q} --only {wildcards.baseline:q} --output {output:q}"
        " {params.series:q} --completion-gap-days {params.gap:q} {params.regional:q} --threads {threads:q} 2> {log:q}"


if RUN.regional:

    rule regional_target:  # early: what does not fit together is refused before anything is trained
        input:
            constraint=RUN.paths.constraint(RUN.regional),
            corrections=list(RUN.corrections.values()),
            regions=RUN.regional_map_files,
        output:
            "<results>/train/regional/target.nc",
        log:
            "<results>/logs/train/regional_target.log",
        benchmark:
            "<results>/benchmarks/train/regional_target.tsv"
        priority: 100
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=minutes(60),
        params:
            settings=settings("regional_target"),
            regions=known(lambda wildcards: RUN.regional_map),
            corrections=[
                word
                for name, path in RUN.corrections.items()
                for word in ("--correction", f"{name}={path}")
            ],
            years=[RUN.regional_years[0], RUN.regional_years[-1]],
            bbox=RUN.bbox,
            version=STAGE_VERSIONS["train"],
        shell:
            "fluxatlas train regional-target --settings {params.settings:q} --regions {params.regions:q}"
            " --constraint {input.constraint:q} {params.corrections:q} --years {params.years:q} --bbox {params.bbox:q}"
            " --output {output:q} 2> {log:q}"

    rule regional_points:
        input:
            attributes=expand("<results>/regrid/attributes/{tile}.nc", tile=TILES),
            forcing=expand(
                "<results>/ingest/forcing/{tile}/{year}.nc",
                tile=TILES,
                year=RUN.regional_years,
            ),
            regions=expand("<results>/regrid/regions/{tile}.nc", tile=TILES),
            series=RUN.series,
        output:
            "<results>/train/regional/points.nc",
        log:
            "<results>/logs/train/regional_points.log",
        benchmark:
            "<results>/benchmarks/train/regional_points.tsv"
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(4000),
            runtime=minutes(120),
        params:
            settings=settings("regional_points"),
            system=RUN.system.key,
            grid=RUN.grid_options,
            attributes=each("--attributes", RUN.paths.attributes(), tile=TILES),
            forcing=each(
                "--forcing", RUN.paths.forcing(), tile=TILES, year=RUN.regional_years
            ),
            regions=each("--regions", RUN.paths.regions(), tile=TILES),
            series=RUN.series_options,
            version=STAGE_VERSIONS["train"],
        shell:
            "fluxatlas train regional-points --settings {params.settings:q} --system {params.system:q} {params.grid:q}"
            " {params.attributes:q} {params.forcing:q} {params.regions:q} {params.series:q} --output {output:q} 2> {log:q}"
