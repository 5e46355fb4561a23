package main

// line is a line of the page: a rate beside the others, or a note.
type line struct {
	name, what string
	measure    func(b *bencher, l line) error
	goal       goals
}

// goals are what a line is to reach; 0 is none. Rates are those of a machine on which go-mysql's syncer decodes goMySQLRate: as multiples of
// that they hold elsewhere too.
type goals struct {
	rate, wall float64 // million rows per CPU second; per second of wall time
	rss        float64 // MB, at most
}

// goMySQLRate is what go-mysql decoded on the machine of the goals, in million rows per CPU second.
const goMySQLRate = 0.2

var (
	small    = goals{rss: 120}
	decoding = goals{rate: 10 * goMySQLRate, rss: 120}
)

func intoKafka(rate float64) goals { return goals{rate: rate, wall: 0.2, rss: 120} }

// lines are measured in this order. The first ones are what the others are compared with.
var lines = []line{
	{"bare-dump", "bare dump connection, event types only", part, goals{}},
	{"go-mysql-raw", "go-mysql's syncer, nothing decoded", part, goals{}},
	{"go-mysql-live", "go-mysql's syncer, rows decoded", part, goals{}},
	{"go-mysql-files", "go-mysql's file parser, rows decoded", partFiles, goals{}},
	{"cells-live", "cdc, live server to cells", part, decoding},
	{"cells-files", "cdc, binlog files to cells", partFiles, decoding},
	{"relay", "cdc's relay: to files, synced each 4 MiB or 20 ms", part, goals{}},
	{"null", "cdc run to the null sink, nothing encoded", pipe("null: {format: none}"), small},
	{"null-debezium", "cdc run to the null sink, debezium", pipe("null: {format: debezium}"), goals{rate: 1.2, rss: 120}},
	{"null-plain", "cdc run to the null sink, plain", pipe("null: {format: plain}"), small},
	{"files-debezium", "cdc run to JSON-lines files, debezium", pipe("files: {dir: out, format: debezium}"), goals{rate: 0.8, rss: 120}},
	{"files-plain", "cdc run to JSON-lines files, plain", pipe("files: {dir: out, format: plain}"), small},
	{"files-csv", "cdc run to CSV files", pipe("files: {dir: out, format: csv}"), small},
	{"files-ocf", "cdc run to Avro container files, deflate", pipe("files: {dir: out, format: avro}"), goals{rate: 0.6}},
	{"files-ocf-zstd", "cdc run to Avro container files, zstandard", pipe("files: {dir: out, format: avro, avro: {codec: zstandard}}"), goals{rate: 0.6}},
	{"files-parquet", "cdc run to Parquet files, zstd", pipe("files: {dir: out, format: parquet}"), goals{rate: 0.4}},
	{"pyarrow-parquet", "pyarrow, the same rows from memory to Parquet, zstd: the writing alone", writer("pyarrow"), goals{}},
	{"duckdb-parquet", "DuckDB, the same rows from memory to Parquet, zstd: the writing alone", writer("duckdb"), goals{}},
	{"kafka-debezium", "cdc run to Kafka, debezium, not compressed", pipeKafka("debezium", "none"), intoKafka(0.6)},
	{"kafka-debezium-lz4", "cdc run to Kafka, debezium, lz4", pipeKafka("debezium", "lz4"), intoKafka(0.35)},
	{"kafka-debezium-avro", "cdc run to Kafka, debezium-avro, lz4", pipeAvro("debezium-avro, debezium: {bigint_unsigned_handling_mode: precise}", "lz4"), intoKafka(0.5)},
	{"kafka-avro", "cdc run to Kafka, avro (flat rows), lz4", pipeAvro("avro", "lz4"), intoKafka(0.5)},
	{"kafka-maxwell", "cdc run to Kafka, maxwell, not compressed", pipeKafka("maxwell", "none"), intoKafka(0.7)},
	{"kafka-maxwell-lz4", "cdc run to Kafka, maxwell, lz4", pipeKafka("maxwell", "lz4"), intoKafka(0.4)},
	{"kafka-once", "cdc run to Kafka, debezium, lz4, at least once and exactly once", pipeOnce, goals{}},
	{"kafka-start", "the start of a stream with 1,000 partitions to read back", aside((*bencher).startKafka), goals{}},
	{"kafka-group", "1, 2, 4 and 8 processes that share a topic through a consumer group", aside((*bencher).group), goals{}},
	{"latency", "commit to output of `cdc tail`", aside((*bencher).latencyTail), goals{}},
	{"latency-kafka", "commit to a record that a consumer has", aside((*bencher).latencyKafka), goals{}},
	{"tables", "10,000 tables seen", aside((*bencher).tables), goals{}},
	{"giant", "one large transaction", aside((*bencher).giantTxn), goals{}},
}

func part(b *bencher, l line) error { return b.part(l) }

func partFiles(b *bencher, l line) error { return b.part(l, b.files...) }

func pipe(sink string) func(*bencher, line) error {
	return func(b *bencher, l line) error { return b.pipe(l, sink, nil) }
}

func aside(f func(*bencher) error) func(*bencher, line) error {
	return func(b *bencher, _ line) error { return b.aside(func() error { return f(b) }) }
}
