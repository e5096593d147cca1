"""The tables of the unit's database, step by step. A step that was released is never changed; a later
one alters what it made.

Owns the tables of reads, hits, pictures, losses, access records and hourly counts, and the triggers that
keep what HQ has not receipted. The outbox's own tables are `mqtt.outbox`'s.
"""

from __future__ import annotations

from typing import Final

from sqlite_utils import Database, Migrations

from mqtt import outbox

migrations = Migrations("platewarden-unit")

_TABLES: Final = (
    """CREATE TABLE reads (
        read_id TEXT PRIMARY KEY,
        revision INTEGER NOT NULL,
        captured_at TEXT,
        clock_quality TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        boottime REAL NOT NULL,
        clock_offset_ms REAL,
        camera TEXT NOT NULL,
        deployment TEXT NOT NULL,
        latitude REAL,
        longitude REAL,
        heading REAL,
        plate TEXT NOT NULL,
        confidence REAL NOT NULL,
        char_confidence TEXT NOT NULL,
        candidates TEXT NOT NULL,
        flags TEXT NOT NULL,
        box TEXT NOT NULL,
        frame_width INTEGER NOT NULL,
        frame_height INTEGER NOT NULL,
        detection_score REAL NOT NULL,
        looks INTEGER NOT NULL,
        agreeing INTEGER NOT NULL,
        parked INTEGER NOT NULL,
        locator_sha256 TEXT NOT NULL,
        ocr_sha256 TEXT NOT NULL,
        config_hash TEXT NOT NULL,
        software TEXT NOT NULL,
        demo INTEGER NOT NULL,
        purging INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX reads_captured ON reads (captured_at)",
    "CREATE INDEX reads_boot ON reads (boot_id, boottime)",
    "CREATE INDEX reads_plate ON reads (plate)",
    "CREATE INDEX reads_purging ON reads (read_id) WHERE purging",
    """CREATE TABLE hits (
        hit_id TEXT PRIMARY KEY,
        read_id TEXT NOT NULL REFERENCES reads (read_id),
        read_revision INTEGER NOT NULL,
        at TEXT,
        kind TEXT NOT NULL,
        score REAL NOT NULL,
        entry_plate TEXT NOT NULL,
        entry_state TEXT NOT NULL,
        alarm_class TEXT NOT NULL,
        reason TEXT NOT NULL,
        source TEXT NOT NULL,
        case_number TEXT NOT NULL,
        expiry TEXT NOT NULL,
        priority INTEGER NOT NULL,
        state_agrees INTEGER,
        list_version TEXT NOT NULL,
        list_age_s REAL,
        status TEXT NOT NULL,
        withdrawn INTEGER NOT NULL
    )""",
    "CREATE INDEX hits_read ON hits (read_id)",
    """CREATE TABLE pictures (
        path TEXT PRIMARY KEY,
        read_id TEXT NOT NULL REFERENCES reads (read_id),
        kind TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        size INTEGER NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        current INTEGER NOT NULL,
        lost INTEGER NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX pictures_read ON pictures (read_id)",
    """CREATE TABLE losses (
        kind TEXT NOT NULL,
        reason TEXT NOT NULL,
        count INTEGER NOT NULL,
        since TEXT,
        until TEXT,
        PRIMARY KEY (kind, reason)
    )""",
    """CREATE TABLE access (
        access_id TEXT PRIMARY KEY,
        at TEXT,
        clock_quality TEXT NOT NULL,
        boot_id TEXT NOT NULL,
        boottime REAL NOT NULL,
        clock_offset_ms REAL,
        person TEXT NOT NULL,
        title TEXT NOT NULL,
        agency TEXT NOT NULL,
        action TEXT NOT NULL,
        query TEXT NOT NULL,
        purpose TEXT NOT NULL,
        case_number TEXT NOT NULL,
        results INTEGER NOT NULL,
        ids TEXT NOT NULL,
        outcome TEXT NOT NULL
    )""",
    "CREATE TABLE hours (hour TEXT PRIMARY KEY, reads INTEGER NOT NULL)",
    "CREATE INDEX outbox_ref ON outbox (ref)",
    "CREATE INDEX outbox_purge ON outbox (read_id, receipted_at)",
)

# What HQ has not receipted stays, whoever asks for its deletion (430.4-b). A read without any outbox row
# was never told to HQ, so it stays too.
_KEPT_READ: Final = """(NOT EXISTS (SELECT 1 FROM outbox WHERE read_id = OLD.read_id)
    OR EXISTS (SELECT 1 FROM outbox WHERE read_id = OLD.read_id AND receipted_at IS NULL))"""

_TRIGGERS: Final = (
    *(
        f"""CREATE TRIGGER {table}_keep BEFORE DELETE ON {table} WHEN {_KEPT_READ}
            BEGIN SELECT RAISE(ABORT, '{table}: HQ has not receipted this read'); END"""
        for table in ("reads", "hits", "pictures")
    ),
    """CREATE TRIGGER access_keep BEFORE DELETE ON access
        WHEN NOT EXISTS (SELECT 1 FROM outbox WHERE ref = OLD.access_id AND receipted_at IS NOT NULL)
        BEGIN SELECT RAISE(ABORT, 'access: HQ has not receipted this record'); END""",
    """CREATE TRIGGER access_final BEFORE UPDATE ON access
        BEGIN SELECT RAISE(ABORT, 'access: a record is never changed'); END""",
    # Whoever puts a loss in the place of a row that cannot be sent, it is counted here.
    """CREATE TRIGGER outbox_counts_loss AFTER UPDATE OF kind ON outbox
        WHEN NEW.kind = 'loss' AND OLD.kind <> 'loss'
        BEGIN
            INSERT INTO losses (kind, reason, count) VALUES (OLD.kind, 'could not be sent', 1)
                ON CONFLICT (kind, reason) DO UPDATE SET count = count + 1;
        END""",
)


@migrations()
def first_tables(db: Database) -> None:
    """Everything that version 0.1 keeps."""
    outbox.create_tables(db.conn)
    for statement in (*_TABLES, *_TRIGGERS):
        db.conn.execute(statement)


@migrations()
def corners_model(db: Database) -> None:
    """The model that looks again at the locator's places; NULL where a read was made without one."""
    db.conn.execute("ALTER TABLE reads ADD COLUMN corners_sha256 TEXT")


@migrations()
def plate_region(db: Database) -> None:
    """The state that a plate's design is of; "" and 0 of reads that were made before it was told."""
    db.conn.execute("ALTER TABLE reads ADD COLUMN region TEXT NOT NULL DEFAULT ''")
    db.conn.execute("ALTER TABLE reads ADD COLUMN region_confidence REAL NOT NULL DEFAULT 0")


@migrations()
def queue_counter(db: Database) -> None:
    """The number of outbox rows that wait for HQ's receipt, kept as they come and go."""
    outbox.create_tables(db.conn)
