"""What other apps may do at the subscriber's connection and after its commits.

Owns the signals and when they are sent; all of them in the subscriber's thread, after the commit, so a
handler that takes long holds up the intake. A handler that raises is logged and stops nothing.

`publish(topic, payload, retain=False, expiry_s=None, content_type="")` hands a message to the broker and
returns None while there is no connection.

- `connected`: publish. The broker has accepted the subscriber: what is to be retained can be published.
- `ticked`: publish. About once a second.
- `chunk_requested`: unit, request (mqtt.records.ChunkRequest), publish. An enrolled unit lacks pieces.
- `hits_received`: ids. Hits that are new or changed are committed.
"""

from __future__ import annotations

from django.dispatch import Signal

connected = Signal()
ticked = Signal()
chunk_requested = Signal()
hits_received = Signal()
