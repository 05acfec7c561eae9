"""`Run`: the results of an audit, in one folder.

    DIR/manifest.json                 options, seed, versions, code, device, digests of the inputs and of all files
    DIR/units.json                    the batches of questions, each with the digest of what its rows depend on
    DIR/parts/<table>/<key>.parquet   one finished unit each, written whole or not at all
    DIR/units/<key>.json, ...         units that were finished since the manifest was written, .lease: who works on
                                      which, .failed: why one could not be done
    DIR/chains/<key>.parquet          chains of thought that a unit takes over from another run, until all are finished
    DIR/<table>.parquet               the parts of a finished run in one sorted table
    DIR/verdict.json, report.html     written from the tables
    DIR/readers.json                  who judged the chains (`faithlens judge`), in which words, with which errors
    DIR/monitors.json                 how well monitors notice hints (`faithlens monitor`)
    DIR/set-aside/                    files that were not as faithlens wrote them, moved here by --resume

Any number of workers may write units at a time. A worker that is killed loses the unit that it was working on. A file
whose digest is not the one in the manifest, or in the record of its unit, is not believed.
"""

from faithlens.store.faults import (
    MONITORS_KEY,
    MONITORS_NAME,
    READERS_KEY,
    READERS_NAME,
    REPORT_NAME,
    VERDICT_NAME,
)
from faithlens.store.files import write_atomically
from faithlens.store.lease import EXPIRY_SECONDS, Leases, name_unit_file
from faithlens.store.lock import hold_folder
from faithlens.store.manifest import (
    MANIFEST_NAME,
    describe_code,
    list_differences,
    list_identity_differences,
    make_manifest,
    read_commit,
)
from faithlens.store.places import find_place
from faithlens.store.run import Run
from faithlens.store.tables import GIVEN, GIVEN_STEPS, INT, SCHEMAS, TEXT, add_given_columns, make_gate_table
from faithlens.store.units import UnitList, list_recorded
from faithlens.store.verdict import RunVerdict

__all__ = [
    "EXPIRY_SECONDS",
    "GIVEN",
    "GIVEN_STEPS",
    "INT",
    "MANIFEST_NAME",
    "MONITORS_KEY",
    "MONITORS_NAME",
    "READERS_KEY",
    "READERS_NAME",
    "REPORT_NAME",
    "SCHEMAS",
    "TEXT",
    "VERDICT_NAME",
    "Leases",
    "Run",
    "RunVerdict",
    "UnitList",
    "add_given_columns",
    "describe_code",
    "find_place",
    "hold_folder",
    "list_differences",
    "list_identity_differences",
    "list_recorded",
    "make_gate_table",
    "make_manifest",
    "name_unit_file",
    "read_commit",
    "write_atomically",
]
