"""What the MQTT side reports; each text is one line and names the file, field or topic."""

from __future__ import annotations


class MqttError(Exception):
    """Base of the errors of this package."""


class MessageError(MqttError):
    """A message that does not follow its schema; the text begins with the field's name."""


class TopicError(MqttError):
    """A topic, unit id or group that is not one of ours."""


class OutboxError(MqttError):
    """The outbox's table cannot be used."""


class LinkError(MqttError):
    """The way to the broker is set up wrongly: plain text off loopback, a missing TLS file."""


class HotListError(MqttError):
    """A manifest or a piece of a hot list that may not be used."""
