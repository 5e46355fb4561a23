package golden_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"cdc/internal/peers/golden"
)

func TestWriteRead(t *testing.T) {
	records := []golden.Record{
		{Topic: "a", Key: []byte(`{"schema":{"type":"x"},"payload":1}`), Value: []byte(`{"schema":{"type":"struct","fields":[1, 2]},"payload":{"x":null}}`)},
		{Topic: "a", Key: []byte(`{"schema":{"type":"x"},"payload":2}`)},
		{Topic: "b", Value: []byte("true"), Headers: [][2]string{{"h", `{"k":1}`}, {"h", ""}}},
		{Topic: "b", Key: []byte{}, Value: []byte{}},
	}
	file := filepath.Join(t.TempDir(), "g")
	if err := golden.Write(file, []string{"made for a test"}, records); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), `{"type":"x"}`); n != 1 {
		t.Errorf("a schema stands %d times in\n%s", n, text)
	}
	got, err := golden.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if len(got[i].Headers) == 0 {
			got[i].Headers = nil
		}
	}
	if !reflect.DeepEqual(got, records) {
		t.Errorf("%+v, not %+v", got, records)
	}
	if err := golden.Write(file, nil, []golden.Record{{Value: []byte("a\nb")}}); err == nil {
		t.Error("a line end was written")
	}
}
