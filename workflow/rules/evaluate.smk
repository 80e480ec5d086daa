# evaluate: held-out sites, towers, seams between tiles and, for the synthetic Earth, the hidden truth.
# In:  predictions, products, site tables, gridded products of others
# Out: <results>/evaluate/{skill,protocols,site_scores,coverage,prior,responses,attribution,towers,seams}.csv, by `snakemake trends` trends.{csv,png}, by `snakemake periods` periods.{csv,png} and period_scores.csv, by `snakemake overpasses` overpasses.csv, by `snakemake factors` factors.{csv,png} and <results>/report/factors.html, by `snakemake yields` yields/{crop}.csv and yields.png, by `snakemake comparison` comparison/ and <results>/report/comparison.html, for the synthetic Earth also truth.nc and truth.csv

SETS = "|".join(RUN.constraints) or "none"


rule skill:
    input:
        members=expand("<trained>/predictions/{member}.parquet", member=MEMBERS),
        baselines=expand(
            "<trained>/baselines/{baseline}.parquet",
            baseline=RUN.config.train.baselines,
        ),
    output:
        "<results>/evaluate/skill.csv",
    log:
        "<results>/logs/evaluate/skill.log",
    benchmark:
        "<results>/benchmarks/evaluate/skill.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        settings=settings("skill"),
        members=each(
            "--predictions",
            RUN.prediction(),
            member=MEMBERS,
        ),
        baselines=lambda wc, input: repeat("--predictions", input.baselines),
        version=STAGE_VERSIONS["evaluate"],
    shell:
        "fluxatlas evaluate skill --settings {params.settings:q} {params.members:q}"
        " {params.baselines:q} --output {output:q} 2> {log:q}"


rule unseen:
    input:
        members=expand("<trained>/predictions/{member}.parquet", member=MEMBERS),
        baselines=expand(
            "<trained>/baselines/{baseline}.parquet",
            baseline=RUN.config.train.baselines,
        ),
        sites="<results>/ingest/sites/sites.csv",
    output:
        protocols="<results>/evaluate/protocols.csv",
        sites="<results>/evaluate/site_scores.csv",
        coverage="<results>/evaluate/coverage.csv",
    log:
        "<results>/logs/evaluate/unseen.log",
    benchmark:
        "<results>/benchmarks/evaluate/unseen.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        settings=settings("unseen"),
        members=each(
            "--predictions",
            RUN.prediction(),
            member=MEMBERS,
        ),
        baselines=lambda wc, input: repeat("--predictions", input.baselines),
        version=STAGE_VERSIONS["evaluate"],
    shell:
        "fluxatlas evaluate unseen --settings {params.settings:q} {params.members:q} {params.baselines:q}"
        " --sites {input.sites:q} --output {output.protocols:q} --site-output {output.sites:q}"
        " --coverage-output {output.coverage:q} 2> {log:q}"


rule periods:  # months at unseen sites; only where asked for: `snakemake periods`
    input:
        members=expand("<trained>/predictions/{member}.parquet", member=MEMBERS),
        baselines=expand(
            "<trained>/baselines/{baseline}.parquet",
            baseline=RUN.config.train.baselines,
        ),
        sites="<results>/ingest/sites/sites.csv",
    output:
        table="<results>/evaluate/periods.csv",
        sites="<results>/evaluate/period_scores.csv",
        figure="<results>/evaluate/periods.png",
    log:
        "<results>/logs/evaluate/periods.log",
    benchmark:
        "<results>/benchmarks/evaluate/periods.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        settings=settings("periods"),
        system=RUN.system.key,
        members=each(
            "--predictions",
            RUN.prediction(),
            member=MEMBERS,
        ),
        baselines=lambda wc, input: repeat("--predictions", input.baselines),
        version=STAGE_VERSIONS["evaluate"],
    shell:
        "fluxatlas evaluate periods --settings {params.settings:q} --system {params.system:q} {params.members:q}"
        " {params.baselines:q} --sites {input.sites:q} --output {output.table:q} --site-output {output.sites:q}"
        " --figure {output.figure:q} 2> {log:q}"


rule factor_table:  # soil or climate: shares of the variance in space; only where asked for: `snakemake factors`
    input:
        flux=expand("<results>/infer/{tile}/{year}.nc", tile=TILES, year=YEARS),
        attributes=expand("<results>/regrid/attributes/{tile}.nc", tile=TILES),
        forcing=lambda wc: RUN.factor_pieces,
        truth="<results>/evaluate/truth.nc" if RUN.has_truth else [],
    output:
        table="<results>/evaluate/factors.csv",
        figure="<results>/evaluate/factors.png",
    log:
        "<results>/logs/evaluate/factors.log",
    benchmark:
        "<results>/benchmarks/evaluate/factors.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        settings=settings("factor_table"),
        regrid=RUN.config.infer.regrid,
        system=RUN.system.key,
        grid=RUN.grid_options,
        years=repeat("--year", [str(year) for year in YEARS[:1] + YEARS[-1:]]),
        flux=each("--flux", RUN.paths.flux(), tile=TILES, year=YEARS),
        attributes=each("--attributes", RUN.paths.attributes(), tile=TILES),
        forcing=each("--forcing", RUN.paths.forcing(), tile=TILES, year=YEARS),
        truth=lambda wc, input: repeat("--truth", input.truth),
        version=STAGE_VERSIONS["evaluate"],
    shell:
        "fluxatlas evaluate factors --settings {params.settings:q} --system {params.system:q} {params.grid:q} --regrid {params.regrid:q}"
        " {params.years:q} {params.flux:q} {params.attributes:q} {params.forcing:q} {params.truth:q}"
        " --output {output.table:q} --figure {output.figure:q} 2> {log:q}"


rule yield_scores:  # plain models, trees and a network on a table of yields of counties or states
    input:
        lambda wc: RUN.yield_table(wc.crop),
    output:
        "<results>/evaluate/yields/{crop}.csv",
    log:
        "<results>/logs/evaluate/yields_{crop}.log",
    benchmark:
        "<results>/benchmarks/evaluate/yields_{crop}.tsv"
    wildcard_constraints:
        crop="maize|soybean|wheat",
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        last=option("evaluate", "yield_last_year"),
        version=STAGE_VERSIONS["evaluate"],
    shell:
        "fluxatlas evaluate yields --table {input:q} --crop {wildcards.crop:q} --last {params.last:q}"
        " --output {output:q} 2> {log:q}"


rule yields:  # their figure; only where asked for: `snakemake yields`
    input:
        lambda wc: [
            RUN.paths("evaluate", "yields", f"{crop}.csv") for crop in RUN.yield_tables
        ],
    output:
        "<results>/evaluate/yields.png",
    log:
        "<results>/logs/evaluate/yields.log",
    benchmark:
        "<results>/benchmarks/evaluate/yields.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        tables=lambda wc, input: repeat("--table", list(input)),
        version=STAGE_VERSIONS["evaluate"],
    shell:
        "fluxatlas evaluate yields-figure {params.tables:q} --output {output:q} 2> {log:q}"


rule overpasses:  # moments at towers beside published models; only where asked for: `snakemake overpasses`
    input:
        table=lambda wc: RUN.overpass_files[0],
        places=lambda wc: RUN.overpass_files[1],
    output:
        "<results>/evaluate/overpasses.csv",
    log:
        "<results>/logs/evaluate/overpasses.log",
    benchmark:
        "<results>/benchmarks/evaluate/overpasses.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        settings=settings("overpasses"),
        system=RUN.system.key,
        version=STAGE_VERSIONS["evaluate"],
    shell:
        "fluxatlas evaluate overpasses --settings {params.settings:q} --system {params.system:q} --table {input.table:q}"
        " --places {input.places:q} --output {output:q} 2> {log:q}"


if "prior" in RUN.tables:

    rule prior:
        input:
            sites_attributes="<results>/regrid/sites_attributes.csv",
            sites_forcing="<results>/regrid/sites_forcing.parquet",
            observations="<results>/ingest/sites/observations.parquet",
            samples="<results>/synthesize/samples.nc",
            series=RUN.series,
        output:
            "<results>/evaluate/prior.csv",
        log:
            "<results>/logs/evaluate/prior.log",
        benchmark:
            "<results>/benchmarks/evaluate/prior.tsv"
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(4000),
            runtime=minutes(60),
        params:
            settings=settings("prior"),
            system=RUN.system.key,
            series=RUN.series_options,
            gap=option("sites", "completion_gap_days"),
            version=STAGE_VERSIONS["evaluate"],
        shell:
            "fluxatlas evaluate prior --settings {params.settings:q} --system {params.system:q}"
            " --sites-attributes {input.sites_attributes:q} --sites-forcing {input.sites_forcing:q}"
            " --observations {input.observations:q} --samples {input.samples:q} {params.series:q}"
            " --completion-gap-days {params.gap:q} --output {output:q} 2> {log:q}"


if "totals" in RUN.tables:

    rule totals:  # with every map of the area, and the uncertainty of whole maps
        input:
            flux=expand("<results>/infer/{tile}/{year}.nc", tile=TILES, year=YEARS),
            attributes=expand("<results>/regrid/attributes/{tile}.nc", tile=TILES),
            coverage="<results>/evaluate/coverage.csv",
        output:
            "<results>/evaluate/totals.csv",
        log:
            "<results>/logs/evaluate/totals.log",
        benchmark:
            "<results>/benchmarks/evaluate/totals.tsv"
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=minutes(120),
        params:
            settings=settings("totals"),
            system=RUN.system.key,
            flux=each("--flux", RUN.paths.flux(), tile=TILES, year=YEARS),
            attributes=each("--attributes", RUN.paths.attributes(), tile=TILES),
            domain=RUN.config.domain.title,
            version=STAGE_VERSIONS["evaluate"],
        shell:
            "fluxatlas evaluate totals --settings {params.settings:q} --system {params.system:q} {params.flux:q}"
            " {params.attributes:q} --coverage {input.coverage:q} --domain {params.domain:q} --output {output:q} 2> {log:q}"


if "responses" in RUN.tables:

    rule responses:
        input:
            members=expand("<trained>/members/{member}.pt", member=MEMBERS),
            samples="<results>/synthesize/samples.nc",
        output:
            responses="<results>/evaluate/responses.csv",
            attribution="<results>/evaluate/attribution.csv",
        log:
            "<results>/logs/evaluate/responses.log",
        benchmark:
            "<results>/benchmarks/evaluate/responses.tsv"
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(4000),
            runtime=minutes(60),
        params:
            settings=settings("responses"),
            system=RUN.system.key,
            members=each("--member", RUN.member(), member=MEMBERS),
            version=STAGE_VERSIONS["evaluate"],
        shell:
            "fluxatlas evaluate responses --settings {params.settings:q} --system {params.system:q} {params.members:q}"
            " --samples {input.samples:q} --output {output.responses:q} --shares {output.attribution:q} 2> {log:q}"


rule trends:  # only where asked for: `snakemake trends`
    input:
        members=expand("<trained>/members/{member}.pt", member=MEMBERS),
        attributes=expand("<results>/regrid/attributes/{tile}.nc", tile=TILES),
        forcing=lambda wc: RUN.trend_pieces,
        series=RUN.series,
    output:
        table="<results>/evaluate/trends.csv",
        figure="<results>/evaluate/trends.png",
    log:
        "<results>/logs/evaluate/trends.log",
    benchmark:
        "<results>/benchmarks/evaluate/trends.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(4000),
        runtime=minutes(120),
    params:
        settings=settings("trends"),
        system=RUN.system.key,
        grid=RUN.grid_options,
        members=each("--member", RUN.member(), member=MEMBERS),
        attributes=each("--attributes", RUN.paths.attributes(), tile=TILES),
        forcing=each("--forcing", RUN.paths.forcing(), tile=TILES, year=YEARS),
        series=RUN.series_options,
        version=STAGE_VERSIONS["evaluate"],
    shell:
        "fluxatlas evaluate trends --settings {params.settings:q} --system {params.system:q} {params.grid:q}"
        " {params.members:q} {params.attributes:q} {params.forcing:q} {params.series:q}"
        " --output {output.table:q} --figure {output.figure:q} 2> {log:q}"


rule compare:  # this rule and the next two only where asked for: `snakemake comparison`
    input:
        daily=expand(
            "<results>/products/daily/{variable}_{year}.nc",
            year=YEARS,
            allow_missing=True,
        ),
        against="<results>/ingest/constraints/{name}.nc",
    output:
        maps="<results>/evaluate/comparison/{variable}/{name}.nc",
        table="<results>/evaluate/comparison/{variable}/{name}.csv",
        series="<results>/evaluate/comparison/{variable}/{name}.series.csv",
    log:
        "<results>/logs/evaluate/comparison_{variable}_{name}.log",
    benchmark:
        "<results>/benchmarks/evaluate/comparison_{variable}_{name}.tsv"
    wildcard_constraints:
        name=SETS,
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(3000),
        runtime=minutes(120),
    params:
        settings=settings("compare"),
        daily=each("--daily", RUN.paths.daily(), year=YEARS),
        version=STAGE_VERSIONS["evaluate"],
    shell:
        "fluxatlas evaluate comparison --settings {params.settings:q} --variable {wildcards.variable:q} {params.daily:q}"
        " --against {wildcards.name:q}={input.against:q} --maps {output.maps:q} --output {output.table:q}"
        " --series {output.series:q} 2> {log:q}"


rule collocate:
    input:
        daily=expand(
            "<results>/products/daily/{variable}_{year}.nc",
            year=YEARS,
            allow_missing=True,
        ),
        first="<results>/ingest/constraints/{first}.nc",
        second="<results>/ingest/constraints/{second}.nc",
    output:
        maps="<results>/evaluate/comparison/{variable}/{first}+{second}.nc",
        table="<results>/evaluate/comparison/{variable}/{first}+{second}.csv",
    log:
        "<results>/logs/evaluate/collocation_{variable}_{first}+{second}.log",
    benchmark:
        "<results>/benchmarks/evaluate/collocation_{variable}_{first}+{second}.tsv"
    wildcard_constraints:
        first=SETS,
        second=SETS,
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(4000),
        runtime=minutes(240),
    params:
        settings=settings("collocate"),
        daily=each("--daily", RUN.paths.daily(), year=YEARS),
        version=STAGE_VERSIONS["evaluate"],
    shell:
        "fluxatlas evaluate collocation --settings {params.settings:q} --variable {wildcards.variable:q} {params.daily:q}"
        " --against {wildcards.first:q}={input.first:q} --against {wildcards.second:q}={input.second:q}"
        " --maps {output.maps:q} --output {output.table:q} 2> {log:q}"


rule comparison:
    input:
        pairs=lambda wc: RUN.compared("pairs"),
        triples=RUN.compared("triples", refuse=False),
    output:
        page="<results>/report/comparison.html",
        figures=RUN.comparison_figures,
    log:
        "<results>/logs/report/comparison.log",
    benchmark:
        "<results>/benchmarks/report/comparison.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        title=RUN.about.title(f"{RUN.system.title} beside gridded products"),
        pairs=lambda wc, input: repeat("--pair", input.pairs),
        triples=lambda wc, input: repeat("--triple", input.triples),
        splits=RUN.paths("experiments", "scores.csv"),
        importance=RUN.paths("experiments", "importance.csv"),
        version=STAGE_VERSIONS["report"],
    shell:
        "fluxatlas report comparison --title {params.title:q} {params.pairs:q} {params.triples:q}"
        " --splits {params.splits:q} --importance {params.importance:q} --output {output.page:q} 2> {log:q}"


if "towers" in RUN.tables:

    rule towers:
        input:
            daily=expand(
                "<results>/products/daily/{variable}_{year}.nc",
                variable=RUN.tower_variables,
                year=YEARS,
            ),
            sites="<results>/ingest/sites/sites.csv",
            observations="<results>/ingest/sites/observations.parquet",
        output:
            csv="<results>/evaluate/towers.csv",
            parquet="<results>/evaluate/towers.parquet",
        log:
            "<results>/logs/evaluate/towers.log",
        benchmark:
            "<results>/benchmarks/evaluate/towers.tsv"
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=minutes(20),
        params:
            settings=settings("towers"),
            daily=each(
                "--daily", RUN.paths.daily(), variable=RUN.tower_variables, year=YEARS
            ),
            version=STAGE_VERSIONS["evaluate"],
        shell:
            "fluxatlas evaluate towers --settings {params.settings:q} {params.daily:q} --sites {input.sites:q}"
            " --observations {input.observations:q} --output {output.csv:q} 2> {log:q}"


rule seams:  # in the first year: edges do not move
    input:
        flux=expand("<results>/infer/{tile}/{year}.nc", tile=TILES, year=YEARS[:1]),
    output:
        "<results>/evaluate/seams.csv",
    log:
        "<results>/logs/evaluate/seams.log",
    benchmark:
        "<results>/benchmarks/evaluate/seams.tsv"
    conda:
        "../envs/fluxatlas.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        system=RUN.system.key,
        flux=each("--flux", RUN.paths.flux(), tile=TILES, year=YEARS[:1]),
        attributes=each("--attributes", RUN.paths.attributes(), tile=TILES),
        version=STAGE_VERSIONS["evaluate"],
    shell:
        "fluxatlas evaluate seams --system {params.system:q} {params.flux:q} {params.attributes:q} --output {output:q} 2> {log:q}"


if RUN.compared_years:

    rule region_months:
        input:
            target="<results>/train/regional/target.nc",
            flux=expand(
                "<results>/infer/{tile}/{year}.nc", tile=TILES, year=RUN.compared_years
            ),
            regions=expand("<results>/regrid/regions/{tile}.nc", tile=TILES),
        output:
            "<results>/evaluate/region_months.csv",
        log:
            "<results>/logs/evaluate/region_months.log",
        benchmark:
            "<results>/benchmarks/evaluate/region_months.tsv"
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=minutes(60),
        params:
            variable=RUN.summed_flux,
            kind=RUN.config.regional.regions,
            flux=each("--flux", RUN.paths.flux(), tile=TILES, year=RUN.compared_years),
            attributes=each("--attributes", RUN.paths.attributes(), tile=TILES),
            regions=each("--regions", RUN.paths.regions(), tile=TILES),
            version=STAGE_VERSIONS["evaluate"],
        shell:
            "fluxatlas evaluate region-months --target {input.target:q} --variable {params.variable:q} --kind {params.kind:q}"
            " {params.flux:q} {params.attributes:q} {params.regions:q} --output {output:q} 2> {log:q}"


if RUN.has_truth:

    rule hidden_truth:
        input:
            expand("<results>/regrid/attributes/{tile}.nc", tile=TILES),
        output:
            "<results>/evaluate/truth.nc",
        log:
            "<results>/logs/evaluate/hidden_truth.log",
        benchmark:
            "<results>/benchmarks/evaluate/hidden_truth.tsv"
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=minutes(20),
        params:
            settings=settings("hidden_truth"),
            system=RUN.system.key,
            attributes=each("--attributes", RUN.paths.attributes(), tile=TILES),
            start=YEARS[0],
            end=YEARS[-1],
            version=STAGE_VERSIONS["evaluate"],
        shell:
            "fluxatlas ingest synthetic-earth truth --settings {params.settings:q} --system {params.system:q}"
            " {params.attributes:q}"
            " --start {params.start:q} --end {params.end:q} --output {output:q} 2> {log:q}"

    rule truth:
        input:
            flux=expand("<results>/infer/{tile}/{year}.nc", tile=TILES, year=YEARS),
            attributes=expand("<results>/regrid/attributes/{tile}.nc", tile=TILES),
            truth="<results>/evaluate/truth.nc",
        output:
            "<results>/evaluate/truth.csv",
        log:
            "<results>/logs/evaluate/truth.log",
        benchmark:
            "<results>/benchmarks/evaluate/truth.tsv"
        conda:
            "../envs/fluxatlas.yaml"
        resources:
            mem_mb=memory(2000),
            runtime=minutes(20),
        params:
            system=RUN.system.key,
            flux=each("--flux", RUN.paths.flux(), tile=TILES, year=YEARS),
            attributes=each("--attributes", RUN.paths.attributes(), tile=TILES),
            version=STAGE_VERSIONS["evaluate"],
        shell:
            "fluxatlas evaluate truth --system {params.system:q} {params.flux:q} {params.attributes:q} --truth {input.truth:q}"
            " --output {output:q} 2> {log:q}"
