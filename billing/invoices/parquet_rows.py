"""Rows of a Parquet file, batch by batch: texts, whole numbers, and the decimals that a file writes; never a float.

Decimal columns are exact. A column of doubles is read where the vendor documents that it types the column so, and then
as the shortest decimal text that names the double, which is what the same vendor's CSV or JSON writes; any other column
of doubles that must be read refuses the file. Only the columns that are asked for are decoded. Texts are read through
the file's dictionaries, so that a value that stands in every row is held once; inside structures Arrow cannot do that,
and fewer rows are read at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from billing.invoices.errors import InvoiceRefused
from billing.sentences import Sentence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from billing.invoices.source import SourceFile

ROWS_MAX = 20_000_000
UNPACKED_BYTES_MAX = 4 * 1024 * 1024 * 1024
BATCH_ROWS = 4096
BATCH_ROWS_LEAST = 64
BATCH_BYTES = 1024 * 1024 * 1024
"""What the texts in structures of one batch may come to, if a column's longest text stood in every row."""
CELL_CHARACTERS_MAX = 100_000
Row = tuple[str, dict[str, Any]]


def columns_of(source: SourceFile) -> list[str]:
    """The names of the table's columns, in their order. Raises InvoiceRefused where the file is damaged."""
    return [str(name) for name in _opened(source).schema_arrow.names]


def parquet_rows(source: SourceFile, wanted: Collection[str], doubles: Collection[str]) -> Iterator[Row]:
    """Each row with its place ("row 3"): the columns of `wanted` that are there, None where a cell is empty.

    Texts and times are texts, decimals and doubles texts of decimals, structures dicts, lists lists. `doubles`: the
    columns (`cost`, `usage.amount`) that the vendor types so. Raises InvoiceRefused for any other one, for a type that
    is not known, and for a file that is damaged or unpacks to more than a bill has.
    """
    import pyarrow as pa  # type: ignore[import-untyped]

    file = _opened(source)
    names = [name for name in file.schema_arrow.names if name in wanted]
    cells = _Cells(source, frozenset(doubles))
    number = 0
    try:
        for batch in file.iter_batches(batch_size=_batch_rows(file), columns=names):
            columns = [cells.of(batch.column(place), name) for place, name in enumerate(names)]
            for values in zip(*columns, strict=True):
                number += 1
                yield f"row {number}", dict(zip(names, values, strict=True))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _damaged(source, error) from None


@dataclass(frozen=True, slots=True)
class _Cells:
    """Arrow's arrays as lists of our values."""

    source: SourceFile
    doubles: frozenset[str]

    def of(self, array: Any, path: str) -> list[Any]:
        """The values of an array; `path` names its column in a refusal."""
        import pyarrow as pa
        import pyarrow.compute as pc  # type: ignore[import-untyped]

        kind = array.type
        if pa.types.is_dictionary(kind):
            values = self._texts(array.dictionary, path)
            return [None if place is None else values[place] for place in array.indices.to_pylist()]
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return self._texts(array, path)
        if pa.types.is_struct(kind):
            return self._structures(array, path)
        if pa.types.is_map(kind):
            keys, items = self.of(array.keys, path), self.of(array.items, path)
            return [found and dict(found) for found in _slices(array, list(zip(keys, items, strict=True)))]
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return _slices(array, self.of(array.values, path))
        if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
            return list(array.to_pylist())
        is_told = pa.types.is_float64(kind) and path in self.doubles
        if is_told or pa.types.is_decimal(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return list(pc.cast(array, pa.string()).to_pylist())
        remedy = "write it as a decimal column" if pa.types.is_floating(kind) else "this type is not read"
        raise InvoiceRefused.at(
            self.source.name, "schema", Sentence("type of column %(path)s", path=path), kind, remedy
        )

    def _structures(self, array: Any, path: str) -> list[dict[str, Any] | None]:
        names = [array.type.field(place).name for place in range(array.type.num_fields)]
        columns = [self.of(child, f"{path}.{name}") for name, child in zip(names, array.flatten(), strict=True)]
        rows = zip(*columns, strict=True) if columns else iter(())
        return [dict(zip(names, row, strict=True)) if there else None
                for row, there in zip(rows, array.is_valid().to_pylist(), strict=True)]  # fmt: skip

    def _texts(self, array: Any, path: str) -> list[str | None]:
        import pyarrow.compute as pc

        longest = pc.max(pc.binary_length(array)).as_py()
        if longest is not None and longest > CELL_CHARACTERS_MAX:
            raise InvoiceRefused(
                Sentence(
                    "%(file)s, column %(path)s: a cell holds %(longest)s bytes, a bill's has "
                    "at most %(most)s; nothing of this import was stored",
                    file=self.source.name,
                    path=path,
                    longest=longest,
                    most=CELL_CHARACTERS_MAX,
                )
            )
        return list(array.to_pylist())


def _slices(array: Any, values: list[Any]) -> list[Any]:
    """The part of `values` that each entry of a list array has; None for an absent one."""
    ends = array.offsets.to_pylist()
    there = array.is_valid().to_pylist()
    return [values[ends[n] : ends[n + 1]] if found else None for n, found in enumerate(there)]


def _opened(source: SourceFile) -> Any:
    """The file with its texts read as dictionaries."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError:
        raise InvoiceRefused(
            Sentence(
                "%(file)s is Parquet, and pyarrow is not installed: pip install "
                "'jangbu[system]', or export CSV; nothing of this import was stored",
                file=source.name,
            )
        ) from None
    try:
        schema = pq.ParquetFile(pa.BufferReader(source.content)).schema
        leaves = [schema.column(place) for place in range(len(schema))]
        texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and "." not in leaf.path]
        file = pq.ParquetFile(pa.BufferReader(source.content), read_dictionary=texts)
        known = file.metadata
        unpacked = sum(known.row_group(place).total_byte_size for place in range(known.num_row_groups))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(source, error) from None
    if known.num_rows > ROWS_MAX or unpacked > UNPACKED_BYTES_MAX:
        raise InvoiceRefused(
            Sentence(
                "%(file)s says that it has %(rows)s rows and unpacks to %(unpacked)s bytes; a bill has "
                "at most %(rows_most)s and %(bytes_most)s: export fewer days a "
                "file; nothing of this import was stored",
                file=source.name,
                rows=known.num_rows,
                unpacked=unpacked,
                rows_most=ROWS_MAX,
                bytes_most=UNPACKED_BYTES_MAX,
            )
        )
    return file


def _batch_rows(file: Any) -> int:
    """How many rows to read at once."""
    known = file.metadata
    chunks = [known.row_group(group).column(column) for group in range(known.num_row_groups)
              for column in range(known.num_columns)]  # fmt: skip
    texts = [chunk.total_uncompressed_size for chunk in chunks
             if chunk.physical_type == "BYTE_ARRAY" and "." in chunk.path_in_schema]  # fmt: skip
    return min(BATCH_ROWS, max(BATCH_ROWS_LEAST, BATCH_BYTES // max(texts, default=1)))


def _damaged(source: SourceFile, error: Exception) -> InvoiceRefused:
    said = str(error).partition("\n")[0][:200]
    return InvoiceRefused(
        Sentence(
            "%(file)s is not readable Parquet (%(known)s): it is cut or damaged, "
            "fetch it again; nothing of this import was stored",
            file=source.name,
            known=said,
        )
    )
