// Package golden is the text form of records of Kafka, in which what the peers wrote is kept.
//
//	# comments: who wrote it, with which settings
//	schema 1 {"type":"struct",...}
//	TOPIC<tab>KEY<tab>HEADERS<tab>VALUE
//
// Records stand by topic, in the order of their offsets. A key or value without bytes is \N, headers are a JSON array of pairs. An inline schema
// of Connect's JsonConverter stands once, before the first record that has it, and as {"schema":@1,"payload":...} in the records; Read puts
// it back, byte for byte.
package golden

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// Record is a record of Kafka. Keys and values are nil where it has none.
type Record struct {
	Topic   string
	Key     []byte
	Value   []byte
	Headers [][2]string
}

const (
	null = `\N`
	head = `{"schema":`
)

// Write makes the file of records, with comments at its top.
func Write(file string, comments []string, records []Record) error {
	var b bytes.Buffer
	for _, c := range comments {
		fmt.Fprintln(&b, "#", c)
	}
	schemas := map[string]int{}
	part := func(v []byte) (string, error) {
		switch {
		case v == nil:
			return null, nil
		case bytes.ContainsAny(v, "\t\n\r"):
			return "", fmt.Errorf("a record holds a tab or a line end: %q", v)
		case !bytes.HasPrefix(v, []byte(head)):
			return string(v), nil
		}
		var schema json.RawMessage
		if err := json.NewDecoder(bytes.NewReader(v[len(head):])).Decode(&schema); err != nil {
			return "", fmt.Errorf("%w in %.200s", err, v)
		}
		n, ok := schemas[string(schema)]
		if !ok {
			n = len(schemas) + 1
			schemas[string(schema)] = n
			fmt.Fprintf(&b, "schema %d %s\n", n, schema)
		}
		return fmt.Sprintf("%s@%d%s", head, n, v[len(head)+len(schema):]), nil
	}
	for _, r := range records {
		key, err := part(r.Key)
		if err != nil {
			return err
		}
		value, err := part(r.Value)
		if err != nil {
			return err
		}
		headers := [][2]string{}
		h, err := json.Marshal(append(headers, r.Headers...))
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\n", r.Topic, key, h, value)
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}

// Read reads a file of records.
func Read(file string) ([]Record, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	schemas := map[string]string{}
	var records []Record
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "schema "); ok {
			number, schema, _ := strings.Cut(rest, " ")
			schemas[number] = schema
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("%s:%d: %d fields, not 4", file, n, len(f))
		}
		r := Record{Topic: f[0]}
		if err := json.Unmarshal([]byte(f[2]), &r.Headers); err != nil {
			return nil, fmt.Errorf("%s:%d: headers: %w", file, n, err)
		}
		for _, p := range []struct {
			text string
			to   *[]byte
		}{{f[1], &r.Key}, {f[3], &r.Value}} {
			if p.text == null {
				continue
			}
			if rest, ok := strings.CutPrefix(p.text, head+"@"); ok {
				number, payload, _ := strings.Cut(rest, ",")
				schema, ok := schemas[number]
				if !ok {
					return nil, fmt.Errorf("%s:%d: no schema %s", file, n, number)
				}
				p.text = head + schema + "," + payload
			}
			*p.to = []byte(p.text)
		}
		records = append(records, r)
	}
	return records, lines.Err()
}
