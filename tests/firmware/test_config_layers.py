"""Any mixture of layers: the last one that speaks wins, and no text makes the reader crash."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.config import default_values, load
from firmware.config_schema import show
from firmware.errors import ConfigError

VALUES = {
    "unit.id": st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True),
    "unit.deployment": st.text(
        st.characters(min_codepoint=32, exclude_characters="\x7f", codec="utf-8"), max_size=64
    ),
    "camera.fps": st.floats(0, 60),
    "camera.seed": st.integers(0, 2**63 - 1),
    "camera.masks": st.lists(st.lists(st.floats(0, 0.5).filter(bool), min_size=4, max_size=4), max_size=3),
    "trigger.kind": st.sampled_from(["motion", "always"]),
    "signals.quiet": st.booleans(),
    "mqtt.port": st.integers(1, 65535),
    "log.level": st.sampled_from(["debug", "info", "warning", "error"]),
}
LAYER = st.fixed_dictionaries({}, optional=VALUES)


def toml(layer: dict[str, object]) -> str:
    """The layer as a file, its sections as dotted keys in the order of the layer."""
    return "\n".join(f"{name} = {show(value)}" for name, value in layer.items())


def text_of(value: object) -> str:
    return value if isinstance(value, str) else show(value)


def as_settings_hold_it(value: object) -> object:
    if isinstance(value, list):
        return tuple(as_settings_hold_it(item) for item in value)
    return value


@settings(max_examples=40)
@given(files=st.lists(LAYER, max_size=3), environment=LAYER, command_line=LAYER)
def test_the_last_layer_that_speaks_wins(
    files: list[dict[str, object]], environment: dict[str, object], command_line: dict[str, object]
) -> None:
    wanted: dict[str, tuple[object, str]] = {"unit.id": ("first", "")}
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, layer in enumerate([{"unit.id": "first"}, *files]):
            path = Path(folder, f"{number}.toml")
            path.write_text(toml(layer), encoding="utf-8")
            paths.append(path)
            wanted |= {name: (value, f"{path}:{row}") for row, (name, value) in enumerate(layer.items(), 1)}
        environ = {
            "PLATEWARDEN__" + name.upper().replace(".", "__"): text_of(value)
            for name, value in environment.items()
        }
        wanted |= {
            name: (value, "environment PLATEWARDEN__" + name.upper().replace(".", "__"))
            for name, value in environment.items()
        }
        wanted |= {name: (value, "--set") for name, value in command_line.items()}
        found = load(
            paths,
            environ=environ,
            overrides=[f"{name}={text_of(value)}" for name, value in command_line.items()],
        )
    for name, default in default_values().items():
        value, origin = wanted.get(name, (None, "default"))
        assert found.values[name] == (default if origin == "default" else as_settings_hold_it(value))
        assert found.origins[name] == origin
    assert (found.values["unit.id"], found.origins["unit.id"]) == wanted["unit.id"]


@settings(max_examples=60)
@given(st.text(max_size=200) | st.text("[]=\"'#.\nabunit \t0123", max_size=200))
def test_any_text_is_a_configuration_or_lines_that_name_the_file(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "unit.toml")
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        problems: tuple[str, ...] = ()
        try:
            load([path], environ={}, overrides=["unit.id=a"])
        except ConfigError as error:
            problems = error.problems
        assert all(line.startswith(str(path)) and "\n" not in line for line in problems)
