"""Nothing imports what stands above it: packages know only those to their left, modules stand in no circle."""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import fluxatlas
from fluxatlas.paths import REPOSITORY

ROOT = Path(fluxatlas.__file__).parent
ORDER = (
    *(
        "errors",
        "yaml_text",
        "loading",
        "constants",
        "paths",
        "stages",
        "grid",
        "axes",
        "magic",
        "netcdf_classic",
        "missing",
        "hashes",
        "failures",
        "files",
        "freshness",
        "retries",
        "dask_cluster",
        "slurm",
        "braces",
        "variables",
    ),
    *("gases", "humidity", "astronomy", "land_mask", "calendars", "times", "weights", "theta"),
    *("process", "systems", "drivers"),
    *("config", "style", "ingest", "regrid", "fetch", "tiles", "synthesize", "train", "infer", "products", "evaluate"),
    *(
        "results",
        "report",
        "explore",
        "experiments",
        "testing",
        "progress",
        "inspect",
        "run_inputs",
        "evaluate_sites",
        "predict_sites",
        "citations",
        "run",
        "twin",
        "export",
        "farewell",
        "check",
        "init",
        "plan",
        "status",
        "watch",
        "explain",
        "cli",
    ),
)
"""Every module and package of ``fluxatlas``, each of which imports only those before it."""
MODULES = {".".join(("fluxatlas", *p.relative_to(ROOT).with_suffix("").parts)): p for p in ROOT.rglob("*.py")}
MODULES = {name.removesuffix(".__init__"): path for name, path in MODULES.items()}


def _place(module: str) -> str:
    """The entry of ``ORDER`` that ``module`` belongs to; modules of commands are parts of the command line."""
    return "cli" if module.endswith(".commands") else module.split(".")[1]


def _imports(module: str, types: bool = True) -> Iterator[str]:
    """Modules of fluxatlas that ``module`` imports, those inside functions too, and those for annotations if wanted."""
    path = MODULES[module]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checking = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    aside = set() if types else {node for block in checking for node in ast.walk(block)}
    for node in ast.walk(tree):
        if node in aside:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            names = {f"{source}.{alias.name}" for alias in node.names}
            yield from names & set(MODULES) or {source} & set(MODULES)


IMPORTS = {module: set(_imports(module)) - {"fluxatlas"} for module in MODULES if module != "fluxatlas"}


def test_every_package_has_a_place() -> None:
    assert sorted({module.split(".")[1] for module in IMPORTS}) == sorted(ORDER)


def test_packages_import_only_what_stands_before_them() -> None:
    wrong = [
        f"{module} imports {target}"
        for module, targets in IMPORTS.items()
        for target in targets
        if ORDER.index(_place(target)) > ORDER.index(_place(module))
    ]
    assert not wrong, wrong


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {module: set(_imports(module, types=False)) - {"fluxatlas"} for module in IMPORTS}
    assert len(list(TopologicalSorter(graph).static_order())) == len(graph)  # raises CycleError with the circle


def test_the_architecture_page_lists_them_in_this_order() -> None:
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    layout = page[page.index("\nsrc/fluxatlas/  ") : page.index("\ntests/{unit")]
    assert tuple(re.findall(r"(?:^| )(\w+)(?:\.py|/)(?= |$)", "\n".join(layout.splitlines()[2:]), re.M)) == ORDER


def test_messages_and_docstrings_say_that_something_is_not_a_thing() -> None:
    """Plain English: "is not a number", not "is no number"; comparisons ("is no longer", "are no worse") are fine."""
    stilted = re.compile(r"(?<![Tt]here )\b(?:is|are) no (?!longer\b|more\b|worse\b|larger\b|faster\b)\w+", re.ASCII)
    found = [
        f"{module}: {match[0]}"
        for module, path in MODULES.items()
        for match in stilted.finditer(" ".join(path.read_text(encoding="utf-8").split()))
    ]
    assert not found, found


def test_functions_and_modules_stay_short() -> None:
    long = [f"{path}: {n} lines" for path in MODULES.values() if (n := path.read_text("utf-8").count("\n")) >= 400]
    for path in MODULES.values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                long += [f"{path}: {node.name} has {lines} lines"] * (lines > 60)
    assert not long, long


def _is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr | ast.BitXor | ast.Sub):
        return any(_is_set(side) or ast.unparse(side).endswith(".keys()") for side in (node.left, node.right))
    called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    return isinstance(node, ast.Set | ast.SetComp) or called in ("set", "frozenset")


def test_no_result_depends_on_the_order_of_a_set() -> None:
    # strings in a set have another order in each process: sums over them differed in the last digit from run to run
    found = []
    for package in ("evaluate", "process", "products", "regrid", "synthesize", "train"):
        for path in (REPOSITORY / "src" / "fluxatlas" / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                listed = isinstance(node, ast.Call) and ast.unparse(node.func) in ("list", "tuple", "enumerate")
                over = [part.iter for part in getattr(node, "generators", []) if not isinstance(node, ast.SetComp)]
                over += [node.iter] if isinstance(node, ast.For) else node.args[:1] if listed else []
                found += [f"{path.name}:{node.lineno}" for one in over if _is_set(one)]
    assert not found, found
