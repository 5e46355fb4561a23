package peers_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cdc/fault"
	"cdc/format"
	"cdc/internal/peers/golden"
	"cdc/source/binlog"
	"cdc/source/files"
)

const recorded = "../../format/testdata/peers"

// result is what became of one change, or of one statement of DDL: records, or an error in their place.
type result struct {
	role  format.Role
	table string // database.table, "" for records of no table
	rec   golden.Record
	err   error
}

// encode gives what an encoder makes of the recorded binary log.
func encode(t *testing.T, enc format.Encoder) []result {
	t.Helper()
	return encodeLog(t, enc, filepath.Join(recorded, "binlog.000001"), "peers", "second")
}

// encodeLog gives what an encoder makes of the changes of some databases in a binary log.
func encodeLog(t *testing.T, enc format.Encoder, log string, databases ...string) []result {
	t.Helper()
	s, err := files.Open(files.Config{
		Paths:  []string{log},
		Binlog: binlog.Config{Select: func(database, _ string) bool { return slices.Contains(databases, database) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var all []result
	marker, _ := enc.(format.Marker)
	prepares, _ := enc.(format.Preparer)
	for {
		b, err := s.Read(t.Context())
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		var out format.Out
		add := func(table string, err error) {
			for i := range out.Recs {
				r := &out.Recs[i]
				x := result{role: r.Role, table: table, rec: golden.Record{Key: bytes.Clone(out.Bytes(r.Key)), Value: bytes.Clone(out.Bytes(r.Value))}}
				if peer := out.Bytes(r.Peer); peer != nil {
					x.rec.Headers = [][2]string{{"peer", string(peer)}}
				}
				all = append(all, x)
			}
			out.Reset()
			if err != nil {
				all = append(all, result{table: table, err: err})
			}
		}
		if b.DDL != nil {
			add("", enc.DDL(&out, b))
		}
		for i := range b.Txns {
			x := &b.Txns[i]
			if x.Begin && marker != nil {
				add("", marker.Txn(&out, b, i, false))
			}
			for j := x.First; j < x.Last; j++ {
				c := &b.Changes[j]
				n := b.Tables[c.Table]
				if prepares != nil {
					if err := prepares.Prepare(t.Context(), n, n.Database+"."+n.Name); err != nil {
						t.Fatal(err)
					}
				}
				add(n.Database+"."+n.Name, enc.Change(&out, b, int(j)))
			}
			if x.End && marker != nil {
				add("", marker.Txn(&out, b, i, true))
			}
		}
		b.Release()
	}
}

// parse reads JSON with its numbers as they are written; nil bytes are absent.
func parse(text []byte) any {
	if text == nil {
		return "(no bytes)"
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return "(not JSON) " + string(text)
	}
	return v
}

// differ collects how records differ from the peer's, by place: the table or topic, and the path in the JSON.
type differ struct {
	t     *testing.T
	known map[string]string // "place path", each a prefix of what is found: why it is so
	used  map[string]bool
	bytes int // records that are the same as JSON, not byte for byte
	same  int // records that are the same byte for byte
}

func (d *differ) report(place, path string, ours, peer any) {
	path = strings.Replace(path, ".payload", "", 1) // with an inline schema or without
	at := place + " " + path
	found := false
	for k := range d.known {
		table, where, _ := strings.Cut(k, " ")
		if (table == place || table == "*" || table == "ddl:*" && strings.HasPrefix(place, "ddl:")) && strings.HasPrefix(path, where) {
			d.used[k], found = true, true
		}
	}
	if found {
		return
	}
	text := func(v any) string { b, _ := json.Marshal(v); return fmt.Sprintf("%.300s", b) }
	d.t.Errorf("%s: ours %s, peer %s", at, text(ours), text(peer))
}

func (d *differ) value(place, path string, ours, peer any) {
	if reflect.DeepEqual(ours, peer) {
		return
	}
	switch x := ours.(type) {
	case map[string]any:
		y, ok := peer.(map[string]any)
		if !ok {
			break
		}
		for _, k := range slices.Sorted(maps.Keys(x)) {
			if _, ok := y[k]; ok {
				d.value(place, path+"."+k, x[k], y[k])
			} else {
				d.report(place, path+"."+k, x[k], "(absent)")
			}
		}
		for _, k := range slices.Sorted(maps.Keys(y)) {
			if _, ok := x[k]; !ok {
				d.report(place, path+"."+k, "(absent)", y[k])
			}
		}
		return
	case []any:
		y, ok := peer.([]any)
		if !ok || len(x) != len(y) {
			break
		}
		for i := range x {
			d.value(place, path+"[]", x[i], y[i])
		}
		return
	}
	d.report(place, path, ours, peer)
}

// records compares what two have written, in its order.
func (d *differ) records(place string, ours, peer []golden.Record) {
	for i := range max(len(ours), len(peer)) {
		switch {
		case i >= len(ours):
			d.report(place, "record", "(absent)", fmt.Sprintf("%s %s", peer[i].Key, peer[i].Value))
		case i >= len(peer):
			d.report(place, "record", fmt.Sprintf("%s %s", ours[i].Key, ours[i].Value), "(absent)")
		default:
			o, p := ours[i], peer[i]
			d.value(place, "key", parse(o.Key), parse(p.Key))
			d.value(place, "value", parse(o.Value), parse(p.Value))
			if a, b := fmt.Sprint(o.Headers), fmt.Sprint(p.Headers); a != b {
				d.report(place, "headers", a, b)
			}
			if bytes.Equal(o.Key, p.Key) && bytes.Equal(o.Value, p.Value) {
				d.same++
			} else if reflect.DeepEqual(parse(o.Key), parse(p.Key)) && reflect.DeepEqual(parse(o.Value), parse(p.Value)) {
				d.bytes++
			}
		}
	}
}

// statements compares messages of DDL, in their order. The place of each is "ddl TABLE".
func (d *differ) statements(ours, peer []golden.Record) {
	for i := range max(len(ours), len(peer)) {
		var m struct {
			Table, Database, DatabaseName string
			Source, Payload               struct {
				Table  string
				Source struct{ Table string }
			}
		}
		var o, p []golden.Record
		if i < len(ours) {
			o = ours[i : i+1]
			_ = json.Unmarshal(o[0].Value, &m)
		}
		if i < len(peer) {
			p = peer[i : i+1]
			_ = json.Unmarshal(p[0].Value, &m)
		}
		d.records("ddl:"+m.Table+m.Source.Table+m.Payload.Source.Table, o, p)
	}
}

// end fails where a difference that is said to be known is none any more.
func (d *differ) end() {
	for k, why := range d.known {
		if !d.used[k] {
			d.t.Errorf("no difference any more: %s (%s)", k, why)
		}
	}
	if d.bytes > 0 {
		d.t.Errorf("%d records are the same as JSON, not byte for byte", d.bytes)
	}
	d.t.Logf("%d records are the same byte for byte", d.same)
}

func must[E format.Encoder](enc E, err error) E {
	if err != nil {
		panic(err)
	}
	return enc
}

func readGolden(t *testing.T, name string) []golden.Record {
	t.Helper()
	records, err := golden.Read(filepath.Join(recorded, name+".golden"))
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// wantRefused checks that every change of a table that holds a value which the peer falsifies is an error.
func wantRefused(t *testing.T, table string, errs []error) {
	t.Helper()
	if len(errs) == 0 {
		t.Errorf("%s: nothing was refused", table)
	}
	for _, err := range errs {
		if !fault.Has(err, fault.FormatValue) {
			t.Errorf("%s: %v", table, err)
		}
	}
}
