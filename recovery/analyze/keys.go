package analyze

import (
	"encoding/binary"
	"slices"
	"strings"

	"cdc/event"
	"cdc/source/binlog"
)

const maxCounters = 100_000

// counters count keys in bounded memory. Where there are too many, the half with the lowest counts is thrown out, and whatever comes later may have
// been among them: it may have been met as often as the highest of those.
type counters struct {
	at      map[string]*counter
	tables  map[*binlog.SurveyKey]uint32
	named   map[string]uint32
	floor   int64
	scratch []byte
}

type counter struct {
	n     int64 // met since it is counted
	floor int64 // and at most as often before
	key   *binlog.SurveyKey
	table string
}

// count adds one to the key in scratch.
func (c *counters) count(key *binlog.SurveyKey, table string) {
	if k := c.at[string(c.scratch)]; k != nil {
		k.n++
		return
	}
	if c.at == nil {
		c.at = map[string]*counter{}
	}
	if len(c.at) >= maxCounters {
		c.halve()
	}
	c.at[string(c.scratch)] = &counter{n: 1, floor: c.floor, key: key, table: table}
}

func (c *counters) halve() {
	all := make([]int64, 0, len(c.at))
	for _, k := range c.at {
		all = append(all, k.n+k.floor)
	}
	slices.Sort(all)
	least := all[len(all)/2]
	for name, k := range c.at {
		if k.n+k.floor <= least {
			delete(c.at, name)
		}
	}
	c.floor = max(c.floor, least)
}

func (c *counters) top(n int) []Key {
	type ranked struct {
		*counter
		value string
	}
	all := make([]ranked, 0, len(c.at))
	for value, k := range c.at {
		if k.n > 1 {
			all = append(all, ranked{k, value})
		}
	}
	slices.SortFunc(all, func(a, b ranked) int {
		if d := b.n - a.n; d != 0 {
			return int(min(max(d, -1), 1))
		}
		return strings.Compare(a.value, b.value)
	})
	out := []Key{}
	for _, k := range all[:min(len(all), n)] {
		value := k.value[4:]
		if k.key != nil {
			value = string(k.key.Text(nil, []byte(value)))
		}
		out = append(out, Key{Table: k.table, Key: short(value), Changes: k.n, AtMost: k.n + k.floor})
	}
	return out
}

// Key takes the key of a row of a survey.
func (c *Collector) Key(k *binlog.SurveyKey, op event.Op, value []byte) {
	if c.o.Op != 0 && c.o.Op != op {
		return
	}
	s := &c.keys
	id, ok := s.tables[k]
	if !ok {
		if s.tables == nil {
			s.tables = map[*binlog.SurveyKey]uint32{}
		}
		id = uint32(len(s.tables))
		s.tables[k] = id
		c.keyed[k.Name] = true
	}
	s.scratch = append(binary.LittleEndian.AppendUint32(s.scratch[:0], id), value...)
	table := ""
	if s.at[string(s.scratch)] == nil {
		table = k.Name.String()
	}
	s.count(k, table)
}
