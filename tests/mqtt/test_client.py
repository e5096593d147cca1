"""The connection against a real mosquitto, and against servers that are none."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mqtt import client
from mqtt.client import Incoming, Link, Will
from mqtt.errors import LinkError
from mqtt.settings import MqttSettings
from tests.broker import Broker, Certificates


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as started:
        yield started


def quick(port: int) -> MqttSettings:
    return MqttSettings(port=port, backoff_min_s=0.1, backoff_max_s=0.2, connect_timeout_s=1.0, keepalive_s=5)


def until(link: Link, what: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {link.fault}"
        link.step(0.05)


def test_a_message_comes_back_and_its_puback_is_told(broker: Broker) -> None:
    got: list[Incoming] = []
    fates: list[tuple[int, str]] = []
    link = Link(
        quick(broker.port), "a", ["t/#"], on_message=got.append,
        on_published=lambda token, fault: fates.append((token, fault)),
    )  # fmt: skip
    assert not link.connected
    assert link.publish("t/x", b"1") is None
    until(link, lambda: link.connected)
    token = link.publish("t/x", b"\x00\xff")
    until(link, lambda: got and fates)
    assert (got[0].topic, got[0].payload, got[0].retain) == ("t/x", b"\x00\xff", False)
    assert fates == [(token, "")]
    link.close()
    link.close()


def test_a_message_that_is_not_acknowledged_by_hand_comes_again(broker: Broker) -> None:
    for acknowledge, expected in ((False, [b"1"]), (True, [b"1"]), (False, [])):
        got: list[Incoming] = []
        link = Link(quick(broker.port), "hq", ["t/#"], on_message=got.append, manual_ack=True)
        until(link, lambda link=link: link.connected)
        if acknowledge is False and expected:
            link.publish("t/x", b"1")
        end = time.monotonic() + 0.15
        until(link, lambda end=end: time.monotonic() > end)
        assert [message.payload for message in got] == expected
        if acknowledge:
            link.ack(got[0])
            until(link, lambda end=end: time.monotonic() > end + 0.1)
        link.close()


def test_the_session_outlives_the_connection(broker: Broker) -> None:
    got: list[Incoming] = []
    link = Link(quick(broker.port), "hq", ["t/#"])
    until(link, lambda: link.connected)
    end = time.monotonic() + 0.2
    until(link, lambda: time.monotonic() > end)
    link.close()
    sender = Link(quick(broker.port), "unit")
    until(sender, lambda: sender.connected)
    sender.publish("t/x", b"while you were away")
    sender.close()
    link = Link(quick(broker.port), "hq", ["t/#"], on_message=got.append)
    until(link, lambda: got)
    link.close()


def test_a_vanished_client_s_last_will_is_retained(broker: Broker) -> None:
    dying = Link(quick(broker.port), "unit", will=Will("t/status", b"offline"))
    until(dying, lambda: dying.connected)
    dying._drop("pulled plug")
    got: list[Incoming] = []
    time.sleep(0.1)
    link = Link(quick(broker.port), "hq", ["t/#"], on_message=got.append)
    until(link, lambda: got)
    assert (got[0].payload, got[0].retain) == (b"offline", True)
    dying.close()
    link.close()


def test_a_refused_publish_is_told_as_a_failure(tmp_path: Path) -> None:
    """Reason code 135 (not authorized) in a PUBACK is not a success."""
    (tmp_path / "acl").write_text("topic read #\n")
    fates: list[str] = []
    with Broker(tmp_path / "broker", extra=f"acl_file {tmp_path / 'acl'}") as broker:
        link = Link(quick(broker.port), "a", on_published=lambda token, fault: fates.append(fault))
        until(link, lambda: link.connected)
        link.publish("t/x", b"1")
        until(link, lambda: fates)
        assert fates == ["Not authorized"]
        link.close()


def test_a_broker_s_limits_are_known(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker", extra="max_inflight_messages 7\nmax_packet_size 5000") as broker:
        link = Link(quick(broker.port), "a")
        until(link, lambda: link.connected)
        assert (link.broker_receives, link.maximum_packet) == (7, 5000)
        link.close()


def test_a_refused_connection_is_not_connected_and_says_why(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker", extra="password_file /dev/null\nallow_anonymous false") as broker:
        link = Link(quick(broker.port), "a", on_up=lambda: pytest.fail("it never was up"))
        until(link, lambda: "refused by the broker: Not authorized" in link.fault)
        assert not link.connected
        link.close()


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        link = Link(quick(silent.getsockname()[1]), "a")
        until(link, lambda: "no answer from the broker within 1 s" in link.fault)
        assert not link.connected
        link.close()


def test_a_broker_that_is_not_there_is_tried_again_with_a_growing_pause(broker: Broker) -> None:
    broker.stop()
    downs: list[int] = []
    link = Link(quick(broker.port), "a", on_down=lambda: downs.append(1))
    until(link, lambda: "refused" in link.fault)
    broker.start()
    until(link, lambda: link.connected)
    assert not downs
    broker.kill()
    until(link, lambda: downs)
    assert link.fault
    broker.start()
    until(link, lambda: link.connected)
    assert link.fault == ""
    link.close()


def test_wake_ends_the_wait_at_once(broker: Broker) -> None:
    link = Link(quick(broker.port), "a")
    until(link, lambda: link.connected)
    link.wake()
    start = time.monotonic()
    link.step(5.0)
    assert time.monotonic() - start < 1.0
    link.close()
    link.wake()


@pytest.mark.clause("430.5-0")
@pytest.mark.clause("430.4-b")
@pytest.mark.parametrize("host", ["192.0.2.1", "broker.example", "0.0.0.0", "::", "localhost.example"])
def test_plain_text_leaves_the_machine_only_where_it_is_allowed(host: str) -> None:
    """CJIS SC-8."""
    with pytest.raises(LinkError, match="plain MQTT is for loopback only"):
        Link(MqttSettings(host=host), "a")
    client.refuse_plain(MqttSettings(host=host, allow_plain=True))
    client.refuse_plain(MqttSettings(host=host, tls=True))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"])
def test_loopback_may_be_plain(host: str) -> None:
    client.refuse_plain(MqttSettings(host=host))


def test_a_file_that_tls_cannot_use_is_named_with_its_option(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    certificates.make("unit")
    bad = tmp_path / "bad.pem"
    bad.write_text("nonsense")
    ca, cert, key = (str(tmp_path / name) for name in ("ca.pem", "unit.pem", "unit.key"))
    cases = {
        "mqtt.ca_file: .*missing": {"ca_file": str(tmp_path / "missing")},
        "mqtt.ca_file: .*bad": {"ca_file": str(bad)},
        "mqtt.cert_file: .*bad": {"ca_file": ca, "cert_file": str(bad), "key_file": key},
        "mqtt.key_file: .*missing": {"cert_file": cert, "key_file": str(tmp_path / "missing")},
        "both or neither": {"ca_file": ca, "cert_file": cert},
    }
    for text, files in cases.items():
        with pytest.raises(LinkError, match=text):
            client.tls_context(MqttSettings(tls=True, **files))
    context = client.tls_context(MqttSettings(tls=True, ca_file=ca, cert_file=cert, key_file=key))
    assert context.check_hostname
    assert context.minimum_version.name == "TLSv1_2"


def test_a_password_file_that_is_empty_or_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    for name in ("empty", "missing"):
        with pytest.raises(LinkError, match=name):
            Link(MqttSettings(username="u", password_file=str(tmp_path / name)), "a")


def test_two_clients_with_one_id_say_so_and_leave_the_broker_in_peace(broker: Broker) -> None:
    """Each takes the other's connection; Debian 12's mosquitto tells neither of them why."""
    settings = replace(quick(broker.port), backoff_min_s=0.02, backoff_max_s=0.3)
    ups: list[float] = []
    one, other = (Link(settings, "pole-7", on_up=lambda: ups.append(time.monotonic())) for _ in range(2))

    def both_say_so() -> bool:
        other.step(0.01)
        return all("the same id, 'pole-7'" in link.fault for link in (one, other))

    until(one, both_say_so, 10)
    # Once the pauses have grown: connected or not, the fault stays, and connections are few.
    end = time.monotonic() + 1.5
    until(one, lambda: both_say_so() and time.monotonic() > end, 10)
    last_second = [up for up in ups if up > time.monotonic() - 1.0]
    assert len(last_second) <= 8
    other.close()
    until(one, lambda: one.connected and one.fault == "", 10)
    one.close()


def test_a_broker_that_is_killed_again_and_again_is_no_other_client(broker: Broker) -> None:
    link = Link(quick(broker.port), "pole-7")
    for _ in range(4):
        until(link, lambda: link.connected)
        broker.kill()
        until(link, lambda: "refused" in link.fault)
        broker.start()
    until(link, lambda: link.connected)
    assert link.fault == ""
    link.close()


def test_a_broker_that_says_that_the_session_was_taken_over_is_believed_at_once() -> None:
    """MQTT 5's reason code 0x8E, which mosquitto sends since 2.0.15."""
    connack, taken_over = b"\x20\x03\x00\x00\x00", b"\xe0\x01\x8e"
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = Link(quick(server.getsockname()[1]), "pole-7")
        link.step(0.1)
        accepted, _ = server.accept()
        accepted.sendall(connack + taken_over)
        accepted.close()
        told = "another client with the same id, 'pole-7', takes the connection over"
        until(link, lambda: link.fault == told)
        link.close()


def test_a_certificate_that_the_broker_does_not_take_is_named_and_its_renewal_needs_no_restart(
    tmp_path: Path,
) -> None:
    """TLS 1.3 tells of it after the handshake, where it looked like a connection that was lost."""
    certificates = Certificates(tmp_path / "tls")
    certificates.make("pole-7", timedelta(hours=-1))
    ca, cert, key = (str(tmp_path / "tls" / name) for name in ("ca.pem", "pole-7.pem", "pole-7.key"))
    with Broker(tmp_path / "broker", certificates=certificates) as broker:
        settings = replace(quick(broker.port), tls=True, ca_file=ca, cert_file=cert, key_file=key)
        link = Link(settings, "pole-7")
        until(link, lambda: "certificate expired" in link.fault)
        assert f"(mqtt.cert_file, {cert})" in link.fault
        Path(cert).write_text("half a certif")
        until(link, lambda: link.fault.startswith(f"mqtt.cert_file: {cert}: "))
        certificates.make("pole-7")
        until(link, lambda: link.connected and link.fault == "")
        link.close()


def test_the_log_says_which_broker_it_is_that_refuses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A unit may have two: HQ's and the owner's, of whose password only the log tells."""
    with Broker(tmp_path / "broker", extra="password_file /dev/null\nallow_anonymous false") as broker:
        link = Link(quick(broker.port), "a")
        until(link, lambda: "Not authorized" in link.fault)
        told = f"no connection to 127.0.0.1:{broker.port} (refused by the broker: Not authorized)"
        assert told in caplog.text
        link.close()
