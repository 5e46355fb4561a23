package files_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/linkedin/goavro/v2"
	client "github.com/parquet-go/parquet-go"

	"cdc/fault"
	"cdc/format"
	"cdc/format/avro"
	csvformat "cdc/format/csv"
	"cdc/format/ocf"
	"cdc/format/parquet"
	"cdc/sinks/files"
	"cdc/sinks/files/filestest"
	"cdc/sinks/sinktest"
)

// kind is a format of files that is not JSON lines, and how a test reads it: the values of each row by the names of their columns.
type kind struct {
	name string
	new  func() format.Encoder
	read func(file []byte) ([]map[string]string, error)
}

func kinds() []*kind {
	must := func(e format.Encoder, err error) format.Encoder {
		if err != nil {
			panic(err)
		}
		return e
	}
	return []*kind{
		{"csv", func() format.Encoder { return must(csvformat.New(csvformat.Options{})) }, readCSV},
		{"avro", func() format.Encoder {
			return must(ocf.New(ocf.Options{Avro: avro.Options{Shape: avro.Flat}, Block: 150}))
		}, readAvro},
		{"parquet", func() format.Encoder {
			return must(parquet.New(parquet.Options{RowGroup: 300, Codec: parquet.CodecSnappy}))
		}, readParquet},
	}
}

func readCSV(file []byte) (all []map[string]string, err error) {
	lines, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
	if err != nil {
		return nil, err
	}
	for _, l := range lines[1:] {
		row := map[string]string{}
		for i, v := range l {
			row[lines[0][i]] = v
		}
		all = append(all, row)
	}
	return all, nil
}

func readAvro(file []byte) (all []map[string]string, err error) {
	r, err := goavro.NewOCFReader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	for r.Scan() {
		v, err := r.Read()
		if err != nil {
			return nil, err
		}
		row := map[string]string{}
		for name, v := range v.(map[string]any) {
			if union, ok := v.(map[string]any); ok {
				for _, v = range union {
				}
			}
			row[name] = fmt.Sprint(v)
		}
		all = append(all, row)
	}
	return all, r.Err()
}

func readParquet(file []byte) (all []map[string]string, err error) {
	f, err := client.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, err
	}
	for _, g := range f.RowGroups() {
		r := g.Rows()
		for buf := make([]client.Row, 7); ; {
			n, err := r.ReadRows(buf)
			for _, values := range buf[:n] {
				row := map[string]string{}
				for _, v := range values {
					row[f.Root().Columns()[v.Column()].Name()] = v.String()
				}
				all = append(all, row)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
		}
		if err := r.Close(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// records reads the changes in a folder's files, which are those of the suite's stream.
func (k *kind) records(t testing.TB, fsys fs.FS) (list []sinktest.Record) {
	t.Helper()
	all, err := files.List(fsys)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if path.Ext(p.Path) != k.new().(format.Container).Extension() {
			t.Fatalf("%s is no file of %s", p.Path, k.name)
		}
		body, err := fs.ReadFile(fsys, p.Path)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := k.read(body)
		if err != nil {
			t.Fatalf("%s: %v", p.Path, err)
		}
		if len(rows) == 0 {
			t.Fatalf("%s is empty", p.Path)
		}
		names := strings.Split(p.Prefix, "/") // database/table/database.table, or database.table alone
		if len(names) == 1 {
			names = strings.SplitN(names[0], ".", 2)
		}
		database, _ := files.DecodeName(names[0])
		table, _ := files.DecodeName(names[1])
		for _, row := range rows {
			id, text := "", ""
			for name, v := range row { // the stream's first two columns, whatever their names: the others are NULL
				switch name {
				case "id":
					id = v
				case "v":
					text = v
				}
			}
			x := row["__gtid"]
			if x == "" || x == "<nil>" || x == "<null>" {
				x = row["__file"] + ":" + row["__pos"]
			}
			line := fmt.Sprintf(`{"d":%q,"t":%q,"x":%q,"r":%s,"s":%s,"id":%s,"v":%q}`, database, table, x, row["__row"], row["__sub"], id, text)
			r, _, err := sinktest.Parse([]byte(line))
			if err != nil {
				t.Fatalf("%s: %v", p.Path, err)
			}
			list = append(list, r)
		}
	}
	return list
}

// TestConformanceOfFormats is TestConformance with files that have a head, and with files that are packed.
func TestConformanceOfFormats(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			h := harness(func(testing.TB) *target { return &target{disk: filestest.NewDisk(3), power: true, kind: k} })
			h.Stride = 3
			sinktest.Run(t, h)
		})
	}
}

// TestCrashOfFormats is TestCrashAtEveryOperation with them.
func TestCrashOfFormats(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			script := sinktest.NewScript("mysql", 3, 8)
			for n := 1; crashAt(t, script, n, 4, k); n++ {
			}
		})
	}
}

// What reads lines refuses a folder that has other files, and says so before any line.
func TestLinesOnly(t *testing.T) {
	for _, k := range kinds() {
		disk := filestest.NewDisk(1)
		target := &target{disk: disk, kind: k}
		script := sinktest.NewScript("mysql", 3, 10)
		if _, err := script.Life(t, target, 0, 1); err != nil {
			t.Fatal(err)
		}
		err := files.ReadFS(disk.Files(), func(string, []byte) error { t.Fatal("a line"); return nil })
		if !fault.Has(err, fault.SinkNotLines) {
			t.Errorf("%s: %v", k.name, err)
		}
		lines := 0 // statements are lines all the same
		for name, f := range disk.Files() {
			if strings.HasPrefix(name, "_ddl/") && strings.HasSuffix(name, ".jsonl") && bytes.HasPrefix(f.Data, []byte(`{"op":"ddl"`)) {
				lines++
			}
		}
		if lines == 0 {
			t.Errorf("%s: no statement", k.name)
		}
	}
}
