// Package ocf writes changes in Avro's object container files, in the shapes of package avro: flat rows, or Debezium's envelopes.
//
//	enc, err := ocf.New(ocf.Options{Avro: avro.Options{Shape: avro.Flat}, Codec: ocf.Deflate})
//	out.Reset()
//	err = enc.Change(&out, batch, i)
//	...
//	p, err := enc.File(table).Pack(w)
//	err = p.Add(out.Bytes(out.Recs[0].Value)) // and so on, all of one table version
//	err = p.Close()
//
// A file is a header with the schema, and blocks of records, each compressed by itself and followed by the file's sync marker, so that a reader may begin at any block.
// Beside what the specification asks for, the header has cdc.database, cdc.table and cdc.version, the number of the table's version in the schema history.
//
// Source: the Avro 1.12 specification, "Object Container Files".
package ocf
