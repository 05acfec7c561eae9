from pathlib import Path
from typing import BinaryIO

from pyarrow import BufferReader, Table

def read_table(source: BufferReader | Path | str) -> Table: ...
def write_table(table: Table, where: BinaryIO | Path | str) -> None: ...
