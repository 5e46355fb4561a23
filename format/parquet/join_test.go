package parquet_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"

	client "github.com/parquet-go/parquet-go"

	"cdc/event"
	"cdc/format"
	"cdc/format/parquet"
	"cdc/internal/batchtest"
	"cdc/internal/settings"
)

func section(file []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(file), 0, int64(len(file)))
}

// TestJoin makes one file of three with every type, and compares the values of all rows, the schema, the metadata and the codec.
func TestJoin(t *testing.T) {
	tab := batchtest.AllTypes()
	for _, codec := range []string{"", parquet.CodecSnappy, parquet.CodecGzip, parquet.CodecNone} {
		var out bytes.Buffer
		j, err := parquet.Join(&out)
		if err != nil {
			t.Fatal(err)
		}
		var want []client.Row
		var first *client.File
		for from := range 3 {
			w := batchtest.NewWriter(nil).Begin(batchtest.Txn(uint64(from) + 1))
			for n := range 50 {
				row := make([]batchtest.Value, len(tab.Columns))
				for i := range row {
					all := batchtest.Edges(&tab.Columns[i])
					row[i] = all[(n+from*50)%len(all)]
				}
				w.Insert(tab, row...).Delete(tab, row...)
			}
			w.Change(event.Truncate, tab, nil, nil)
			file, n := pack(t, parquet.Options{Codec: codec, ZeroDates: parquet.ZeroDateNull, RowGroup: settings.Size(9_000)}, w.End().Batch())
			f := open(t, file)
			if first == nil {
				first = f
			}
			want = append(want, readRows(t, f)...)
			if got, err := j.Add(section(file)); err != nil || got != int64(n) {
				t.Fatalf("%d rows of %d: %v", got, n, err)
			}
			if j.Memory() <= 0 {
				t.Error("no memory")
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		f := open(t, out.Bytes())
		got := readRows(t, f)
		if len(got) != len(want) {
			t.Fatalf("%d rows, want %d", len(got), len(want))
		}
		for i := range got {
			if !got[i].Equal(want[i]) {
				t.Fatalf("row %d:\n%v\nwant\n%v", i, got[i], want[i])
			}
		}
		for i, want := range first.Metadata().Schema {
			if got := f.Metadata().Schema[i]; !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %+v, want %+v", want.Name, got, want)
			}
		}
		if !reflect.DeepEqual(f.Metadata().KeyValueMetadata, first.Metadata().KeyValueMetadata) {
			t.Errorf("metadata %v, want %v", f.Metadata().KeyValueMetadata, first.Metadata().KeyValueMetadata)
		}
		if c := f.Root().Columns()[0].Compression().String(); c != first.Root().Columns()[0].Compression().String() {
			t.Errorf("codec %s", c)
		}
	}
}

// Files of another schema or codec are refused and leave the new file as it was; a file that is damaged is an error.
func TestJoinUnlike(t *testing.T) {
	tab := batchtest.AllTypes()
	row := make([]batchtest.Value, len(tab.Columns))
	for i := range row {
		row[i] = batchtest.Null()
	}
	row[0] = batchtest.Edges(&tab.Columns[0])[0]
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(tab, row...).End().Batch()
	file, n := pack(t, parquet.Options{}, b)
	other, _ := pack(t, parquet.Options{Codec: parquet.CodecGzip}, b)
	var out bytes.Buffer
	j, err := parquet.Join(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Add(section(file)); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Add(section(other)); !errors.Is(err, format.ErrUnlike) {
		t.Errorf("it said %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if got := len(readRows(t, open(t, out.Bytes()))); got != n {
		t.Errorf("%d rows, want %d", got, n)
	}
	if j, err = parquet.Join(io.Discard); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Add(section(file[:len(file)-9])); err == nil {
		t.Error("a file that was cut short is taken")
	}
}
