package main

// line is a line of the page: a rate beside the others, or a note.
type line struct {
	name, what string
	measure    func(b *bencher, l line) error
}

// lines are measured in this order. The first ones are what the others are compared with.
var lines = []line{
	{"bare-dump", "bare dump connection, event types only", part},
	{"go-mysql-raw", "go-mysql's syncer, nothing decoded", part},
	{"go-mysql-live", "go-mysql's syncer, rows decoded", part},
	{"go-mysql-files", "go-mysql's file parser, rows decoded", partFiles},
	{"cells-live", "cdc, live server to cells", part},
	{"cells-files", "cdc, binlog files to cells", partFiles},
	{"null", "cdc run to the null sink, nothing encoded", pipe("null: {format: none}")},
	{"null-debezium", "cdc run to the null sink, debezium", pipe("null: {format: debezium}")},
	{"null-plain", "cdc run to the null sink, plain", pipe("null: {format: plain}")},
	{"files-debezium", "cdc run to JSON-lines files, debezium", pipe("files: {dir: out, format: debezium}")},
	{"files-plain", "cdc run to JSON-lines files, plain", pipe("files: {dir: out, format: plain}")},
	{"latency", "commit to output of `cdc tail`", aside((*bencher).latency)},
	{"tables", "10,000 tables seen", aside((*bencher).tables)},
	{"giant", "one large transaction", aside((*bencher).giantTxn)},
}

func part(b *bencher, l line) error { return b.part(l.name, l.what) }

func partFiles(b *bencher, l line) error { return b.part(l.name, l.what, b.files...) }

func pipe(sink string) func(*bencher, line) error {
	return func(b *bencher, l line) error { return b.pipe(l.name, l.what, sink) }
}

func aside(f func(*bencher) error) func(*bencher, line) error {
	return func(b *bencher, _ line) error { return b.aside(func() error { return f(b) }) }
}
