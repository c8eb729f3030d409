"""Backups: every row, and every file that a row names, in one folder, made while jobs run.

    manifest.json             format, revision of the tables, time, rows and sha256 of each table, files left out
    tables/<table>.jsonl.gz   one row a line
    blobs/<ab>/<sha256>       the files

The rows are a snapshot. Files never change, so they are copied afterwards; one that is deleted meanwhile, for a
newer checkpoint, is listed as left out, and one that the store has lost as lost. The format does not depend on the
database: a backup of SQLite can be restored into PostgreSQL, and one of a local folder into a bucket. Nor does it
depend on the version: tables are written as they are, and the version that made them can restore them.
"""

from ganvas.backup.manifest import BackupInvalid as BackupInvalid
from ganvas.backup.manifest import verify_backup as verify_backup
from ganvas.backup.restoring import read_backup as read_backup
from ganvas.backup.series import find_backup as find_backup
from ganvas.backup.series import write_increment as write_increment
from ganvas.backup.writing import write_backup as write_backup
