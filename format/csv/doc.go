// Package csv writes changes as CSV (RFC 4180): a line of names at the beginning of each file, then a line for each row, with the columns of package rows behind those of
// the table.
//
//	enc, err := csv.New(csv.Options{})
//	out.Reset()
//	err = enc.Change(&out, batch, i) // records end in a line end
//	head := enc.File(table).Head
//
// NULL is nothing between two commas, and an empty text is two quotes, as PostgreSQL's COPY has it. Nothing else is written without a character. Where a text for NULL is
// set, NULL is that text without quotes, and a value that is the same text has quotes. What a reader must know besides that is in docs/files-formats.md.
//
// A file's names never change within it: a change of columns begins a new file, which is the sink's to do.
package csv
