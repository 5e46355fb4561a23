//go:build servers

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cdc/internal/testbed"
)

// literally makes a pattern of the name of a database.
var literally = strings.NewReplacer("%", `\%`, "_", `\_`, ".", `\.`)

// Tables whose topics would be one, or none that Kafka allows: a coded stop before anything is mixed, and a route that tells them apart delivers
// both.
func TestKafkaNames(t *testing.T) {
	t.Parallel()
	s := testbed.Start(t, testbed.MySQL97, testbed.Options{})
	k := testbed.SharedKafka(t, testbed.Kafka43)
	long := strings.Repeat("n", 64)
	for i, c := range []struct {
		name   string
		first  [2]string // database and table
		second [2]string
		topic  string // {database}.{table} where empty
		both   bool   // they are two topics as they are
	}{
		{name: "dot in one and in the other", first: [2]string{"a.b", "c"}, second: [2]string{"a", "b.c"}},
		{name: "blank and underscore", first: [2]string{"d", "x y"}, second: [2]string{"d", "x_y"}},
		{name: "beyond ASCII", first: [2]string{"e", "表"}, second: [2]string{"e", "木"}},
		{name: "dot and underscore", first: [2]string{"f", "p.q"}, second: [2]string{"f", "p_q"}}, // Kafka makes metrics of both under one name
		{name: "upper and lower case", first: [2]string{"g", "Orders"}, second: [2]string{"g", "orders"}, both: true},
		{name: "hyphen and underscore", first: [2]string{"h", "m-n"}, second: [2]string{"h", "m_n"}, both: true},
		{name: "too long", first: [2]string{"i", "short"}, second: [2]string{"i", long}, topic: strings.Repeat("t", 180)},
		{name: "one topic for all", first: [2]string{"j", "one"}, second: [2]string{"j", "two"}, topic: "-", both: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := "n" + fmt.Sprint(i)
			first, second := db+c.first[0], db+c.second[0]
			testbed.MustExec(t, s, "CREATE DATABASE `"+first+"`", "CREATE DATABASE IF NOT EXISTS `"+second+"`",
				"CREATE TABLE `"+first+"`.`"+c.first[1]+"` (id INT PRIMARY KEY)", "CREATE TABLE `"+second+"`.`"+c.second[1]+"` (id INT PRIMARY KEY)")
			at, err := s.ExecutedGTIDs(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			testbed.MustExec(t, s, "INSERT INTO `"+first+"`.`"+c.first[1]+"` VALUES (1)", "INSERT INTO `"+second+"`.`"+c.second[1]+"` VALUES (2)")
			o := settings{tables: fmt.Sprintf("%q", db+"%.%"), start: at}
			p := newTopicPipe(t, s, k, o, "")
			sink := p.sink(k.Brokers(), "")
			switch c.topic {
			case "":
			case "-": // asked for
				sink = p.sink(k.Brokers(), fmt.Sprintf("topic: %q", p.prefix+".all"))
			default:
				sink = p.sink(k.Brokers(), fmt.Sprintf("topic: %q", p.prefix+"."+c.topic+".{table}"))
			}
			o.sink = sink
			p.write(t, o)
			if c.both {
				must(t, "run", p.yaml, "--until", "now")
				p.holds(t, 2)
				return
			}
			run(t, "run", p.yaml, "--until", "now").refused(t, 1, "CDC5106", "route")
			run(t, "run", p.yaml, "--until", "now", "--no-check").refused(t, 1, "CDC5106", "route")
			// The first table may be there: a change of it came first.
			for _, l := range p.inserted(t) {
				if got := string(l.After["id"]); got != "1" {
					t.Errorf("row %s is there", got)
				}
			}
			before := len(p.inserted(t))
			o.sink = sink + fmt.Sprintf("\n    transforms: [{route: {match: %q, topic: %q}}]", literally.Replace(second)+"."+strings.NewReplacer("%", `\%`, "_", `\_`).Replace(c.second[1]), p.prefix+".second")
			p.write(t, o)
			must(t, "run", p.yaml, "--until", "now")
			got := ids(p.inserted(t))
			want := []string{"1", "2"}
			if before > 0 && len(got) > 2 { // it was killed by its fault, before the place was saved
				got = slices.Compact(got)
			}
			if !slices.Equal(got, want) {
				t.Errorf("rows %v, want %v", got, want)
			}
			if m := messages(t, k, p.prefix+".second"); len(m) != 1 {
				t.Errorf("%d records in the second topic", len(m))
			}
		})
	}
}
