// Package parquet writes changes as Parquet files, with the columns of package rows behind those of the table.
//
//	enc, err := parquet.New(parquet.Options{})
//	err = enc.Change(&out, batch, i)
//	...
//	p, err := enc.File(table).Pack(w)
//	err = p.Add(out.Bytes(out.Recs[0].Value)) // and so on, all of one table version
//	err = p.Close()
//
// A record is a row in a form of this package's own: for each column a byte that says whether there is a value, and the value as Parquet has it. Columns are made of them
// when a file is packed, a row group at a time. So rows may be taken back from the end until then, and memory holds one row group however long the file is.
//
// Every column of the table is optional, so that a file of one version can be read with the columns of another. Integers have their width and sign, decimals up to 38
// digits are DECIMAL and exact, longer ones are text, since hardly any reader has more; TIMESTAMP is adjusted to UTC, DATETIME is not.
//
// Sources: the Parquet format 2.11, "Logical Types"; the client is github.com/parquet-go/parquet-go.
package parquet
