# Measures a writer of Parquet that is not ours: writers.py pyarrow|duckdb FOLDER FILE loads the rows of a folder's Parquet files and writes them into one file, and prints
# rows, CPU seconds and seconds of the writing alone, and the peak of memory of all in bytes.
import glob
import resource
import sys
import time

writer, folder, target = sys.argv[1:]
files = sorted(glob.glob(f"{folder}/*/*/*.parquet"))
tables = sorted({f.rsplit("/", 1)[0] for f in files})
rows, work = 0, []
if writer == "pyarrow":
    import pyarrow.parquet as pq

    for t in tables:
        loaded = pq.ParquetDataset([f for f in files if f.startswith(t + "/")]).read()
        rows += loaded.num_rows
        work.append(lambda loaded=loaded: pq.write_table(loaded, target, compression="zstd"))
else:
    import duckdb

    db = duckdb.connect()
    for n, t in enumerate(tables):
        db.execute(f"CREATE TABLE t{n} AS SELECT * FROM read_parquet(?)", [[f for f in files if f.startswith(t + "/")]])
        rows += db.execute(f"SELECT count(*) FROM t{n}").fetchone()[0]
        work.append(lambda n=n: db.execute(f"COPY t{n} TO '{target}' (FORMAT parquet, COMPRESSION zstd)"))
cpu, wall = time.process_time(), time.monotonic()
for w in work:
    w()
print(rows, time.process_time() - cpu, time.monotonic() - wall, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
