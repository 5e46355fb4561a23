# Reads what files sinks have published, by programs that are not ours, and prints the rows that are left of each format: a line of JSON for each reader and format.
# Usage: readers.py FOLDER.., with the folders parquet, avro, csv and csvnull of one table each in it.
import csv
import datetime
import decimal
import glob
import json
import sys
import uuid

import chdb
import duckdb
import fastavro
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

duck = duckdb.connect()
duck.execute("SET TimeZone = 'UTC'")


def paths(kind, extension):
    found = sorted(glob.glob(f"{root}/{kind}/[!._]*/**/*.{extension}", recursive=True))
    if not found:
        sys.exit(f"no file of {kind}")
    return found


def text(v):
    """A value as text, such that values of different types stay different where that matters."""
    if v is None or isinstance(v, str):
        return v
    if isinstance(v, bool):
        return str(int(v))
    if isinstance(v, (bytes, bytearray)):
        return "0x" + v.hex()
    if isinstance(v, decimal.Decimal):
        return format(v, "f")
    if isinstance(v, datetime.datetime):
        zone = ""
        if v.tzinfo is not None:
            v, zone = v.astimezone(datetime.timezone.utc), "Z"
        return v.strftime("%H:%M:%S.%f").join([v.date().isoformat() + "T", zone])
    if isinstance(v, (datetime.date, uuid.UUID)):
        return str(v)
    if isinstance(v, (list, tuple)):
        return ",".join(text(x) for x in v)
    if isinstance(v, dict):
        return " ".join(text(x) for x in v.values())
    return repr(v)


def left(records):
    """What is left of a changelog: the last version of each key, without those that were deleted."""
    place = lambda r: (r["__file"], int(r["__pos"]), int(r["__row"]), int(r["__sub"]), r["__op"] != "delete")
    rows = {}
    for r in sorted(records, key=place):
        if r["__op"] == "delete":
            del rows[int(r["id"])]
        else:
            rows[int(r["id"])] = {k: v for k, v in r.items() if k[:2] != "__"}
    return rows


def show(reader, kind, records):
    records = [{k: text(v) for k, v in r.items()} for r in records]
    rows = left(records)
    print(json.dumps({"folder": root, "reader": reader, "format": kind, "records": len(records), "rows": rows}), flush=True)
    return rows


def engine(source, all_text=False):
    """What ClickHouse's engine reads. It has one type for text and bytes."""
    r = chdb.query(f"SELECT * FROM {source} SETTINGS output_format_arrow_string_as_string = 0", "ArrowStream")
    for row in pa.ipc.open_stream(pa.py_buffer(r.bytes())).read_all().to_pylist():
        for k, v in row.items():
            if isinstance(v, bytes) and (all_text or k[:2] == "__"):
                row[k] = v.decode()
            elif isinstance(v, list):  # members of a SET
                row[k] = [x.decode() if isinstance(x, bytes) else x for x in v]
        yield row


def query(text, *parameters):
    return duck.sql(text, params=list(parameters)).to_arrow_table().to_pylist()


for root in sys.argv[1:]:
    files = paths("parquet", "parquet")
    show("pyarrow", "parquet", (r for f in files for r in pa.parquet.ParquetFile(f).read().to_pylist()))
    kept = show("duckdb", "parquet", query("SELECT * FROM read_parquet(?)", files))
    now = query(  # as docs/files-formats.md has it
        "SELECT * EXCLUDE (__op, __gtid, __row, __sub, __commit, __server_id, __file, __pos) FROM (SELECT * FROM read_parquet(?) "
        "QUALIFY row_number() OVER (PARTITION BY id ORDER BY __file DESC, __pos DESC, __row DESC) = 1) WHERE __op <> 'delete'", files)
    if {str(r["id"]): {k: text(v) for k, v in r.items()} for r in now} != {str(k): v for k, v in kept.items()}:
        sys.exit("the rows as they are now, by DuckDB's SQL, are others")
    show("chdb", "parquet", engine(f"file('{root}/parquet/*/*/*.parquet', Parquet)"))

    files = paths("avro", "avro")
    show("fastavro", "avro", (r for f in files for r in fastavro.reader(open(f, "rb"))))
    show("chdb", "avro", engine(f"file('{root}/avro/*/*/*.avro', Avro)"))

    for kind, null in ("csv", ""), ("csvnull", "\\N"):
        files = paths(kind, "csv")
        names = next(csv.reader(open(files[0], newline="")))
        as_text = pa.csv.ConvertOptions(column_types={n: pa.string() for n in names}, null_values=[null], strings_can_be_null=True, quoted_strings_can_be_null=False)
        lines = pa.csv.ParseOptions(newlines_in_values=True)
        show("pyarrow", kind, (r for f in files for r in pa.csv.read_csv(f, convert_options=as_text, parse_options=lines).to_pylist()))
        show("duckdb", kind, query(
            "SELECT * FROM read_csv(?, header = true, delim = ',', quote = '\"', escape = '\"', all_varchar = true, nullstr = ?, allow_quoted_nulls = false)",
            files, null))
        if null:  # without it NULL and an empty text are one to ClickHouse
            columns = ", ".join(f"`{n}` Nullable(String)" for n in names)
            show("chdb", kind, engine(f"file('{root}/{kind}/*/*/*.csv', CSVWithNames, '{columns}')", all_text=True))
