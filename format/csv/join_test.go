package csv_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"cdc/format"
	"cdc/format/csv"
)

// TestJoin puts lines of several files behind one line of names, also where names and values have quotes and line feeds in them, and where a line is longer than a buffer.
func TestJoin(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	for _, c := range []struct {
		files []string
		want  string
		rows  int64
		fails string
	}{
		{[]string{"a,b\r\n1,2\r\n", "a,b\r\n3,4\r\n5,6\r\n"}, "a,b\r\n1,2\r\n3,4\r\n5,6\r\n", 3, ""},
		{[]string{"a,\"x\n\"\"\n\"\n1,\"2\n\"\"\"\n", "a,\"x\n\"\"\n\"\n3,\"\n\n\"\n"}, "a,\"x\n\"\"\n\"\n1,\"2\n\"\"\"\n3,\"\n\n\"\n", 2, ""},
		{[]string{"a\n\"" + long + "\n" + long + "\"\n", "a\n" + long + "\n"}, "a\n\"" + long + "\n" + long + "\"\n" + long + "\n", 2, ""},
		{[]string{"a,b\n1,2\n", "a,b\r\n3,4\r\n"}, "", 0, "not alike"},
		{[]string{"a\n1\n", "b\n3\n"}, "", 0, "not alike"},
		{[]string{"a\n1\n", "a\n1\n3"}, "", 0, "not complete"},
		{[]string{"a\n1\n", "a\n1\n\"3\n"}, "", 0, "not complete"},
		{[]string{"\"a\n1\n"}, "", 0, "line of names"},
		{[]string{""}, "", 0, "line of names"},
	} {
		var out bytes.Buffer
		j, err := csv.Join(&out)
		if err != nil {
			t.Fatal(err)
		}
		rows := int64(0)
		for _, f := range c.files {
			var n int64
			if n, err = j.Add(io.NewSectionReader(strings.NewReader(f), 0, int64(len(f)))); err != nil {
				break
			}
			rows += n
		}
		if err = errors.Join(err, j.Close()); c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) || (c.fails == "not alike") != errors.Is(err, format.ErrUnlike) {
				t.Errorf("%.40q: it said %v", c.files, err)
			}
			continue
		}
		if err != nil || out.String() != c.want || rows != c.rows || j.Memory() <= 0 {
			t.Errorf("%.40q: %d rows, %.80q, %v", c.files, rows, out.String(), err)
		}
	}
}
