"""The registry, what declarations promise, and that the stages know no system by name."""

import re
import subprocess
import sys

import pytest

from fluxatlas import variables
from fluxatlas.errors import ConfigError
from fluxatlas.gases import gases
from fluxatlas.loading import load_object
from fluxatlas.paths import REPOSITORY
from fluxatlas.systems import SYSTEMS, System, get_system
from toy_system import TOY

WORDS = re.compile(r"(?<!x)methane|ch4|\btsl|\bswc", re.IGNORECASE)  # xmethanewet is a layout of files
FREE = ("systems/", "process/", "ingest/constraints/", "share/")
KINDS = {
    "ingest/sites/": "readers name the kinds of observations that files hold",
    "inspect/": "so does what tells a user what a file holds",
    "ingest/atmosphere.py": "names of the provider's files",
    "ingest/simulated_year.py": "those of another provider",
    "testing/site_files.py": "the synthetic Earth writes towers and chambers as providers do",
    "config/": "keys of quality control by kind, gases as examples, and the system of the demo",
}
"""Where a kind of observation, a gas or the demo is named, and why; nowhere else."""


def test_stages_know_no_system_by_name() -> None:
    source = REPOSITORY / "src" / "fluxatlas"
    found = [
        f"{path}:{number}: {line.strip()}"
        for file in sorted(source.rglob("*.py"))
        if not (path := file.relative_to(source).as_posix()).startswith((*FREE, *KINDS))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if WORDS.search(line)
    ]
    assert not found, found
    named = re.compile(rf"(?<!docs/)\b({'|'.join(SYSTEMS)})\b")
    rules = [REPOSITORY / "Snakefile", *sorted((REPOSITORY / "workflow").rglob("*.smk"))]
    stages = [file for file in source.rglob("*.py") if file.relative_to(source).parts[0] not in ("systems", "config")]
    assert not [str(file) for file in (*rules, *stages) if named.search(file.read_text(encoding="utf-8"))]
    config = sum(len(WORDS.findall(file.read_text(encoding="utf-8"))) for file in (source / "config").rglob("*.py"))
    assert config <= 10  # documented examples; a branch on a system would add to them


@pytest.mark.parametrize("system", [*map(get_system, SYSTEMS), TOY], ids=lambda system: system.name)
def test_every_name_of_a_declaration_means_something(system: System) -> None:
    parts, model = load_object(system.network), load_object(system.process)
    drivers = {*system.forcing, *system.slow_drivers}
    for name in (*drivers, *system.attributes, *system.statics, *system.simulated, *system.weight, *system.outputs):
        assert variables.get(name)
    assert set(system.series) <= set(gases()) and set(system.climate) <= drivers
    assert set(system.strata) <= {*system.forcing, *system.attributes}
    known = {*drivers, *system.statics}
    for part in system.submodules:
        assert {*part.drivers, *part.upstream, *part.statics} <= known, part.name
        known |= set(part.outputs)
    assert set(system.told) == {*load_object(system.priors)(), *system.choices}  # what varies in samples is told
    assert tuple(parts.heads) == system.heads
    for head in parts.heads.values():
        assert set(head.makes) <= set(system.flux_names)  # it may correct fluxes that a sub-module gives
        assert set(head.reads) <= known | set(head.outputs) and set(system.head_fluxes) <= set(head.makes)
    assert {term.name for term in system.knowledge} == set(parts.knowledge)
    assert all(set(term.reads) <= known | set(system.simulated) for term in system.knowledge)
    made = {*system.intermediates, *(name for head in parts.heads.values() for name in head.outputs)}
    assert set(parts.bounds) <= made and callable(model.simulate)
    assert set(system.outputs) <= set(system.simulated) and system.flux_names[0] in system.outputs
    assert {kind.variable for kind in system.observations} <= set(system.simulated)
    assert all(set(forms) < set(system.choices[choice]) for choice, forms in system.withheld.items())
    for path in (system.without_weather, system.truth, *(driver.function for driver in system.slow)):
        assert path is None or load_object(path)


def test_a_declaration_costs_nothing_heavy() -> None:
    code = "import sys; from fluxatlas.systems import get_system; get_system('soil_methane_sink'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numba", "matplotlib", "pandas", "xarray", "numpy", "importlib.metadata"} & set(loaded)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("soil_methane_snik", "did you mean 'soil_methane_sink'"),
        ("toy_system:TOI", "no system 'toy_system:TOI'"),
        ("no_such_module:TOY", "no system 'no_such_module:TOY'"),
        ("toy_system:MODEL", "is not a System"),
    ],
)
def test_what_is_no_system_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        get_system(name)


def test_a_system_of_ones_own_is_found_again_by_how_it_was_asked_for() -> None:
    found = get_system("toy_system:TOY")
    assert found.name == "toy" and found.key == "toy_system:TOY" and get_system(found.key) == found
