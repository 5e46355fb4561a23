package ocf_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/linkedin/goavro/v2"

	"cdc/format"
	"cdc/format/avro"
	"cdc/format/ocf"
	"cdc/internal/batchtest"
)

func section(file []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(file), 0, int64(len(file)))
}

// TestJoin makes one file of several of many small blocks, and one of what comes out of that, and has goavro read it. It does not know zstandard: of that the records are
// compared by making a file without compression of it.
func TestJoin(t *testing.T) {
	for _, codec := range []ocf.Codec{ocf.Deflate, ocf.Snappy, ocf.Null, ocf.Zstandard} {
		e, err := ocf.New(ocf.Options{Avro: avro.Options{Shape: avro.Flat}, Codec: codec, Block: 300})
		if err != nil {
			t.Fatal(err)
		}
		join := func(files ...[]byte) []byte {
			var out bytes.Buffer
			j, err := ocf.Join(&out)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if _, err := j.Add(section(f)); err != nil {
					t.Fatalf("%s: %v", codec, err)
				}
			}
			if j.Memory() <= 0 {
				t.Error("no memory")
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			return out.Bytes()
		}
		var parts [][]byte
		for part := range int64(4) {
			w := batchtest.NewWriter(nil).Begin(batchtest.Txn(uint64(part) + 1))
			for i := range int64(500) {
				w.Insert(table(), batchtest.Int(part*500+i), batchtest.Text("a note that is much like the one before"))
			}
			file, _ := pack(t, e, w.End().Batch())
			parts = append(parts, file)
		}
		whole := join(join(parts[:3]...), parts[3])
		if codec == ocf.Zstandard {
			whole = plainly(t, whole)
		}
		r, err := goavro.NewOCFReader(bytes.NewReader(whole))
		if err != nil {
			t.Fatal(err)
		}
		n := int64(0)
		for ; r.Scan(); n++ {
			got, err := r.Read()
			if err != nil {
				t.Fatal(err)
			}
			if id := got.(map[string]any)["id"].(map[string]any)["int"]; id != int32(n) {
				t.Fatalf("%s: record %d has id %v", codec, n, id)
			}
		}
		if err := r.Err(); err != nil || n != 2000 {
			t.Errorf("%s: %d records, %v", codec, n, err)
		}
		if v := string(r.MetaData()["cdc.version"]); v != "7" {
			t.Errorf("version %q", v)
		}
	}
}

// plainly gives a file of zstandard as one without compression.
func plainly(t *testing.T, file []byte) []byte {
	t.Helper()
	r, err := goavro.NewOCFReader(bytes.NewReader(bytes.Replace(file, []byte("\x12zstandard"), []byte("\x12deflate--"), 1)))
	if err == nil || r != nil {
		t.Fatal("goavro reads a codec that is none")
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	sync := file[len(file)-16:]
	pieces := bytes.Split(file, sync)
	out := append(bytes.Replace(pieces[0], []byte("\x12zstandard"), []byte("\x08null"), 1), sync...)
	for _, p := range pieces[1 : len(pieces)-1] {
		at := bytes.Index(p, []byte{0x28, 0xb5, 0x2f, 0xfd}) // a frame begins; what is before it are two numbers
		rows := p[:1]
		for i := 0; rows[i]&0x80 != 0; i++ {
			rows = p[:i+2]
		}
		body, err := d.DecodeAll(p[at:], nil)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rows...)
		for n := uint64(len(body)) << 1; ; n >>= 7 {
			if n < 0x80 {
				out = append(out, byte(n))
				break
			}
			out = append(out, byte(n)|0x80)
		}
		out = append(append(out, body...), sync...)
	}
	return out
}

// Files of another codec or schema are refused; those that are cut or changed are errors, whatever the place.
func TestJoinUnlike(t *testing.T) {
	b := batchtest.NewWriter(nil).Begin(batchtest.Txn(1)).Insert(table(), batchtest.Int(1), batchtest.Text("a")).Insert(table(), batchtest.Int(2), batchtest.Text("b")).End().Batch()
	var files [][]byte
	for _, codec := range []ocf.Codec{ocf.Snappy, ocf.Null} {
		e, err := ocf.New(ocf.Options{Avro: avro.Options{Shape: avro.Flat}, Codec: codec})
		if err != nil {
			t.Fatal(err)
		}
		file, _ := pack(t, e, b)
		files = append(files, file)
	}
	j, err := ocf.Join(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := j.Add(section(files[0])); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	if _, err := j.Add(section(files[1])); !errors.Is(err, format.ErrUnlike) {
		t.Errorf("it said %v", err)
	}
	whole := files[0]
	for cut := range whole {
		j, err := ocf.Join(io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := j.Add(section(whole[:cut])); err == nil && n == 2 {
			t.Fatalf("cut to %d of %d bytes it is taken", cut, len(whole))
		}
		changed := bytes.Clone(whole)
		changed[cut] ^= 0x80
		if j, err = ocf.Join(io.Discard); err != nil {
			t.Fatal(err)
		}
		_, _ = j.Add(section(changed)) // must come back
	}
}
