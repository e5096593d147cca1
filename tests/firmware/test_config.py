"""The configuration: layers, mistakes, and what is generated from default.toml."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from pathlib import Path

import pytest

from firmware import config, config_docs
from firmware.config import Settings, load
from firmware.config_schema import SCHEMA, show
from firmware.errors import ConfigError
from mqtt.records import Position

ID = ("unit.id=test-unit",)
ROOT = Path(__file__).resolve().parents[2]


def problems(text: str, tmp_path: Path, *overrides: str) -> list[str]:
    """The lines about a file with this text, its path cut to its name."""
    file = tmp_path / "unit.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load([file], environ={}, overrides=overrides)
    return [line.replace(f"{tmp_path}{os.sep}", "") for line in caught.value.problems]


def settings(tmp_path: Path, text: str, *overrides: str) -> Settings:
    file = tmp_path / "unit.toml"
    file.write_text(text)
    return load([file], environ={}, overrides=[*ID, *overrides])


TEN_MISTAKES = """\
[unit]
id = "Unit 7"
[camera]
masks = [[0.5, 0.5, 0.2, 1.2]]
fsp = 10
[trigger]
kind = "magic"
[passage]
commit_s = 5
[signals]
alarm_lamp_pin = 5
buzzer_pin = 5
[mqtt]
host = "hq.example.org"
window = "many"
tls = true
ca_file = "missing.pem"
[mqqt]
port = 1
[homeassistant]
enabled = true
host = "ha.example.org"
"""


def test_ten_kinds_of_mistakes_in_one_file_give_ten_lines(tmp_path: Path) -> None:
    found = problems(TEN_MISTAKES, tmp_path)
    wanted = [
        ("unit.toml:2: unit.id:", "A-Z"),
        ("unit.toml:4: camera.masks:", "1.2"),
        ("unit.toml:5: camera.fsp:", "did you mean camera.fps?"),
        ("unit.toml:7: trigger.kind:", '"motion"'),
        ("unit.toml:9: passage.commit_s:", "0.05 to 1"),
        ("unit.toml:12: signals.buzzer_pin:", "signals.alarm_lamp_pin"),
        ("unit.toml:15: mqtt.window:", "1 to 10000"),
        ("unit.toml:17: mqtt.ca_file:", "No such file"),
        ("unit.toml:18: [mqqt]", "did you mean [mqtt]?"),
        ("unit.toml:22: homeassistant.tls:", "homeassistant.allow_plain"),
    ]
    assert len(found) == len(wanted)
    for start, allowed in wanted:
        lines = [line for line in found if line.startswith(start)]
        assert len(lines) == 1, start
        assert allowed in lines[0]


def test_demo_site_stays_on_this_machine(tmp_path: Path) -> None:
    text = '[unit]\nid = "a"\ndemo = true\n[mqtt]\nhost = "hq.example.org"\nallow_plain = true\n'
    assert problems(text, tmp_path) == [
        'unit.toml:3: unit.demo: true is not allowed with mqtt.host "hq.example.org": '
        "a demo stays on this machine"
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "localhost", "::1"])
def test_plain_mqtt_is_accepted_on_loopback(tmp_path: Path, host: str) -> None:
    assert settings(tmp_path, f'[mqtt]\nhost = "{host}"').mqtt.host == host


@pytest.mark.clause("430.5-0")
@pytest.mark.clause("430.4-b")
@pytest.mark.clause("CJIS SC-8")
@pytest.mark.parametrize("host", ["10.0.0.1", "localhost.example.org", "0.0.0.0"])
def test_plain_mqtt_off_loopback_is_refused(tmp_path: Path, host: str) -> None:
    """430.5-0: no plate leaves the machine in the clear unless a key says so."""
    (line,) = problems(f'[unit]\nid = "a"\n[mqtt]\nhost = "{host}"', tmp_path)
    assert line.startswith("unit.toml:4: mqtt.tls: false is not allowed")
    assert settings(tmp_path, f'[mqtt]\nhost = "{host}"\nallow_plain = true').mqtt.allow_plain
    assert not settings(tmp_path, f'[mqtt]\nhost = "{host}"\nenabled = false').mqtt.enabled


@pytest.mark.clause("430.5-0")
def test_a_secret_open_to_everybody_is_refused(tmp_path: Path) -> None:
    """430.5-0: no start with world-readable keys."""
    secret = tmp_path / "password"
    secret.write_text("x")
    secret.chmod(0o644)
    text = '[unit]\nid = "a"\n[mqtt]\nusername = "u"\npassword_file = "password"'
    (line,) = problems(text, tmp_path)
    assert line.startswith("unit.toml:5: mqtt.password_file:")
    assert "chmod" in line
    secret.chmod(0o640)
    assert settings(tmp_path, text).mqtt.password_file == str(secret)


def test_certificate_and_key_come_together(tmp_path: Path) -> None:
    (tmp_path / "unit.pem").write_text("")
    text = '[unit]\nid = "a"\n[mqtt]\ntls = true\ncert_file = "unit.pem"'
    assert problems(text, tmp_path) == [
        'unit.toml:5: mqtt.key_file: "" is not allowed: mqtt.cert_file needs it'
    ]


def test_lines_that_are_not_toml_do_not_hide_the_mistakes_after_them(tmp_path: Path) -> None:
    text = '[unit]\nid = "a"\nid = "b"\n[trigger\nkind = "x"\n[camera]\nfps = = 3\nwidth = 641\n'
    assert [line.split(": ")[0] for line in problems(text, tmp_path)] == [
        "unit.toml:3",
        "unit.toml:4",
        "unit.toml:7",
        "unit.toml:5",
        "unit.toml:8",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("unit = 3", "unit: 3 is not allowed: must be a section [unit]"),
        ("fps = 3", "fps: stands outside any section; did you mean camera.fps?"),
        ("[zebra]", "[zebra] is no section: the sections are unit, camera,"),
        ("[unit]\nwidth = 3", "unit.width: is no option; did you mean camera.width?"),
        ("[log]\nzebra = 3", "log.zebra: is no option: [log] has level"),
        ("[mqtt]\nport = 0", "mqtt.port: 0 is not allowed: must be a whole number from 1 to 65535"),
        ("[mqtt]\nport = true", "mqtt.port: true is not allowed"),
        ("[mqtt]\nport = 1883.0", "mqtt.port: 1883.0 is not allowed"),
        ("[camera]\nfps = nan", "camera.fps: nan is not allowed"),
        ('[unit]\ndemo = "yes"', 'unit.demo: "yes" is not allowed: must be true or false'),
        ("[unit]\nposition = [91, 0]", "unit.position: [91, 0] is not allowed"),
        ("[store]\ndirectory = ''", 'store.directory: "" is not allowed: must be a path'),
        ("[hotlist]\nclasses = ['immigration_violator']", "hotlist.classes:"),
        ("[camera]\nmasks = [[0, 0, 0.5]]", "camera.masks: [[0, 0, 0.5]] is not allowed"),
        ("[camera]\nmasks = [[0.6, 0, 0.5, 1]]", "camera.masks:"),
        ("[camera]\nsource = 'folder:'", "camera.source:"),
        ("[camera]\npreview_width = 1280\nwidth = 640", "camera.preview_width:"),
        ("[camera]\nnight_below = 200", "camera.day_above: 150 is not allowed"),
        ("[signals]\nbutton_pin = 1", "signals.button_pin: 1 is not allowed"),
        (
            "[trigger]\nkind = 'gpio'\npin = 22",
            "trigger.pin: 22 is not allowed: GPIO 22 is signals.buzzer_pin's",
        ),
        ("[mqtt]\nbackoff_min_s = 100", "mqtt.backoff_max_s: 60 is not allowed"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, line: str) -> None:
    (found,) = problems(text, tmp_path, *ID)
    place, _, rest = found.partition(": ")
    assert place.startswith("unit.toml:")
    assert rest.startswith(line)


def test_a_unit_without_an_id_is_told_so() -> None:
    with pytest.raises(ConfigError, match=r"^unit\.id: is not set: must be 1 to 64"):
        load([], environ={})


def test_a_missing_or_unreadable_file_is_a_mistake(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError) as caught:
        load([tmp_path / "none.toml", binary], environ={}, overrides=ID)
    assert caught.value.problems == (
        f"{tmp_path}/none.toml: cannot be read: No such file or directory",
        f"{binary}: is not UTF-8 text: byte 0 is 0xff",
    )


def test_each_layer_lies_over_the_one_before(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    (etc / "conf.d").mkdir(parents=True)
    (etc / "platewarden.toml").write_text(
        '[unit]\nid = "main"\n[mqtt]\nport = 1\nwindow = 1\ninflight = 1\ngroup = "m"'
    )
    (etc / "conf.d" / "10-a.toml").write_text("[mqtt]\nport = 2\nwindow = 2\ninflight = 2")
    (etc / "conf.d" / "20-b.toml").write_text("[mqtt]\nport = 3\nwindow = 3")
    (etc / "conf.d" / "30-c.toml~").write_text("[mqtt]\nport = 4")
    found = load(
        config.installed_files(etc),
        environ={"PLATEWARDEN__MQTT__PORT": "5", "PLATEWARDEN__UNIT__ID": "1-2", "HOME": "/"},
        overrides=["mqtt.port=6", 'unit.deployment=26-1234 "north"', "unit.position=[1, 2.5]"],
    )
    assert (found.mqtt.port, found.mqtt.window, found.mqtt.inflight, found.mqtt.group) == (6, 3, 2, "m")
    assert found.unit.id == "1-2"
    assert found.unit.deployment == '26-1234 "north"'
    assert found.unit.position == Position(latitude=1.0, longitude=2.5)
    assert found.origins["mqtt.port"] == "--set"
    assert found.origins["unit.id"] == "environment PLATEWARDEN__UNIT__ID"
    assert found.origins["mqtt.window"] == f"{etc}/conf.d/20-b.toml:3"
    assert found.origins["mqtt.inflight"] == f"{etc}/conf.d/10-a.toml:4"
    assert found.origins["mqtt.keepalive_s"] == "default"


def test_a_mistake_that_a_later_layer_covers_is_told_all_the_same(tmp_path: Path) -> None:
    assert problems("[mqtt]\nport = 0", tmp_path, *ID, "mqtt.port=5") == [
        "unit.toml:2: mqtt.port: 0 is not allowed: must be a whole number from 1 to 65535"
    ]


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("PLATEWARDEN__MQTT__PORT", "x", 'mqtt.port: "x" is not allowed'),
        ("PLATEWARDEN__MQTT__PROT", "1", "mqtt.prot: is no option; did you mean mqtt.port?"),
        ("PLATEWARDEN__MQTT", "1", "is no option's name: PLATEWARDEN__SECTION__KEY is"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(name: str, value: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load([], environ={name: value}, overrides=ID)
    assert caught.value.problems[0].startswith(f"environment {name}: {line}")


@pytest.mark.parametrize("override", ["mqtt.port", "port=1", "=", ".port=1", "mqtt.=1"])
def test_a_malformed_override_is_a_mistake(override: str) -> None:
    with pytest.raises(ConfigError, match=r"must be section\.key=value"):
        load([], environ={}, overrides=[*ID, override])


def test_relative_paths_are_taken_from_the_folder_of_their_file(tmp_path: Path) -> None:
    found = settings(tmp_path, '[store]\ndirectory = "data"\n[camera]\nsource = "folder:pictures"')
    assert found.store.directory == tmp_path / "data"
    assert found.camera.source == f"folder:{tmp_path}/pictures"
    assert (
        load([], environ={}, overrides=[*ID, "store.directory=data"]).store.directory == Path.cwd() / "data"
    )


def test_the_hash_follows_the_values_only(tmp_path: Path) -> None:
    plain = load([], environ={}, overrides=ID)
    same = settings(tmp_path, "[mqtt]\nport = 1883")
    other = settings(tmp_path, "[mqtt]\nport = 1884")
    assert plain.config_hash == same.config_hash != other.config_hash
    assert len(plain.config_hash) == 64


def test_empty_values_mean_what_the_page_says() -> None:
    found = load([], environ={}, overrides=ID)
    assert found.unit.position is None
    assert found.detector.min_confidence is None
    assert found.detector.models == config.default_models()
    assert found.access.people is None


def test_each_core_of_a_small_board_works_at_a_model_unless_set_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for cores, threads in ((1, 1), (2, 2), (4, 4), (16, 4)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        assert load([], environ={}, overrides=ID).detector.model_threads == threads
    assert load([], environ={}, overrides=[*ID, "detector.threads=3"]).detector.model_threads == 3


def test_the_models_beside_the_source_tree_are_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert config.default_models() == ROOT / "models"
    monkeypatch.setattr(config, "__file__", str(tmp_path / "site-packages" / "firmware" / "config.py"))
    monkeypatch.setattr("sys.prefix", "/opt/platewarden")
    assert config.default_models() == Path("/opt/platewarden/share/platewarden/models")


def test_every_option_has_a_default_and_every_default_an_option() -> None:
    data = tomllib.loads(config.DEFAULTS.read_text())
    assert {name: list(table) for name, table in data.items()} == {
        name: list(SCHEMA[name]) for name in SCHEMA
    }


def test_settings_take_every_option_of_their_section_and_no_other() -> None:
    found = load([], environ={}, overrides=ID)
    for section, options in SCHEMA.items():
        fields = [field.name for field in dataclasses.fields(getattr(found, section))]
        assert sorted(fields) == sorted(options), section


@pytest.mark.parametrize("section", ["camera", "trigger", "signals", "gps", "clock", "mqtt", "homeassistant"])
def test_the_packages_own_defaults_are_those_of_default_toml(section: str) -> None:
    found = getattr(load([], environ={}, overrides=ID), section)
    assert found == type(found)()


def test_the_page_of_the_documentation_is_generated() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert page == config_docs.page(), "run: python -m firmware.config --docs docs/configuration.md"


def test_the_page_explains_every_option() -> None:
    page = config_docs.page()
    for section, options in SCHEMA.items():
        for key, option in options.items():
            line = next(line for line in page.splitlines() if line.startswith(f"- `{section}.{key}` = `"))
            assert line.endswith(option.allowed)
    assert "= ``" not in page


def test_what_config_prints_reads_back_as_the_same_configuration(tmp_path: Path) -> None:
    from firmware.commands.config import lines

    first = settings(
        tmp_path,
        '[unit]\ndeployment = "a \\"b\\" \\\\ \\u00e9"\nposition = [1, 2, 3]\n[camera]\nmasks = [[0,0,1,1]]',
    )
    printed = tmp_path / "printed.toml"
    printed.write_text("\n".join(lines(first, changed=False)))
    assert load([printed], environ={}).config_hash == first.config_hash
    printed.write_text("\n".join(lines(first, changed=True)))
    assert load([printed], environ={}).config_hash == first.config_hash
    changed = [line.split(" = ")[0] for line in lines(first, changed=True) if " = " in line]
    assert changed == ["id", "deployment", "position", "masks"]


@pytest.mark.parametrize("value", [True, 3, 0.1, 'a"b\\c\n\té', ["x", 1.5], [[1, 2], []]])
def test_values_are_shown_as_toml(value: object) -> None:
    assert tomllib.loads(f"value = {show(value)}")["value"] == value
