"""Settings: schema, file and command line are one; a key that nobody reads is an error."""

import dataclasses

import pytest

from tfphen.core import config
from tfphen.core.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Settings(config.Config):
    widths: tuple[int, ...] = (1, 2)
    inner: Inner = Inner()
    limit: int | None = None
    options: dict = dataclasses.field(default_factory=dict)


TEXT = """# The claim.
#
# More.

[smoke]
seeds = 1

[small]
seeds = 4
widths = [3, 5]
inner = {rate = 1}
options = {flatten = true}

[paper.first]
seeds = 5
[paper.second]
seeds = 6
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "thing.toml"
    file.write_text(TEXT)
    return file


def test_a_size_is_read_and_typed(path):
    small = config.select(Settings, path, "small")
    assert small.widths == (3, 5) and small.inner.rate == 1.0 and small.seeds == 4
    assert small.options == {"flatten": True} and small.limit is None
    assert list(small.seed_range()) == [1000, 1001, 1002, 1003]
    assert config.select(Settings, path, "paper", "second").seeds == 6
    file = config.read(path)
    header, tables = file.card, file.tables
    assert header == "The claim.\n\nMore." and config.experiments(tables) == ["first", "second"]


def test_overrides_replace_single_values(path):
    words = ["widths=[7]", "inner.rate=0.5", "inner.names=['a']", "limit=3", "seed=5"]
    got = config.select(Settings, path, "small", overrides=config.parse_overrides(words))
    assert got.widths == (7,) and got.inner == Inner(0.5, ("a",)) and got.limit == 3
    assert got.seed == 5 and got.seeds == 4
    assert config.parse_overrides(["data=mnist", "x=1.5"]) == {"data": "mnist", "x": 1.5}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["widht=3"], "Unknown key 'widht'.*Did you mean 'widths'.*Allowed"),
        (["inner.rat=3"], "Unknown key 'rat'.*Did you mean 'rate'"),
        (["widths=3"], "widths must be a list of int.*Received: 3"),
        (["widths=['a']"], "must be int.*Received: 'a'"),
        (["inner.rate=fast"], "rate must be float.*Received: 'fast'"),
        (["seeds=true"], "seeds must be int.*Received: True"),
        (["seeds=-1"], "`seeds` must be at least 1"),
        (["seed=-1"], "`seed` must not be negative"),
        (["options=3"], "options must be dict"),
        (["widths"], "An override is `key=value`"),
        (["seeds=1", "seeds.x=1"], "is a value, not a table"),
    ],
)
def test_wrong_overrides_are_refused(path, words, message):
    with pytest.raises(UsageError, match=message):
        config.select(Settings, path, "small", overrides=config.parse_overrides(words))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("smal",), "Unknown size 'smal'.*Did you mean 'small'"),
        (("paper",), "needs --experiment.*Allowed: first, second"),
        (("paper", "frist"), "has no 'frist'.*Did you mean 'first'"),
        (("small", "first"), "goes with --size paper"),
    ],
)
def test_wrong_sizes_are_refused(path, arguments, message):
    with pytest.raises(UsageError, match=message):
        config.select(Settings, path, *arguments)


def test_files_that_are_no_configs_are_refused(tmp_path):
    file = tmp_path / "thing.toml"
    with pytest.raises(UsageError, match="cannot be read"):
        config.select(Settings, file, "small")
    file.write_text("[small\n")
    with pytest.raises(UsageError, match="not valid TOML"):
        config.select(Settings, file, "small")
    file.write_text("[smal]\n")
    with pytest.raises(UsageError, match=r"Unknown section \[smal\].*Did you mean 'small'"):
        config.select(Settings, file, "small")
    file.write_text("[smoke]\nseeds = 1\nseets = 2\n")
    with pytest.raises(UsageError, match=r"Unknown key 'seets'.*Did you mean 'seeds'"):
        config.select(Settings, file, "smoke")
