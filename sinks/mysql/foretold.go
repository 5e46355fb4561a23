package mysql

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"cdc/fault"
	"cdc/schemas"
)

// foretold is a DDL statement that cdc has announced at the source, by a row of statements, before it carried it out there. Such a statement is known
// by the session that announced it:
//
//	row of statements {session 7, ALTER TABLE, t}
//	ALTER TABLE t by session 9    somebody else's, which begins at the source
//	ALTER TABLE t by session 7    the one that was announced, which came from elsewhere
//	the row goes, the place is noted
//
// A statement that fails, or that a crash cuts off, is announced again by the session that repeats it. Both stand until the row goes: the server may still
// be at work for the first. A start between announcement and statement knows of it by the checkpoint, which holds all that stand at its place.
type foretold struct {
	Stream  string `json:"stream"` // the row's key
	Name    string `json:"name"`
	Came    string `json:"came"`
	Kind    string `json:"kind"`
	Tables  string `json:"tables"`
	Session uint64 `json:"session"`
}

// foretellings are those that stand, in their order.
type foretellings []foretold

// mostForetold bounds them: rows of statements that failed for good stay.
const mostForetold = 1000

// add notes one. A session carries out one statement at a time: what it announced before has failed.
func (l *foretellings) add(f foretold) {
	*l = slices.DeleteFunc(*l, func(o foretold) bool { return o.Session == f.Session })
	if len(*l) == mostForetold {
		*l = slices.Delete(*l, 0, 1)
	}
	*l = append(*l, f)
}

// again notes that another session carries out what one has announced.
func (l *foretellings) again(stream, name string, session uint64) {
	for _, f := range *l {
		if f.Stream == stream && f.Name == name {
			f.Session = session
			l.add(f)
			return
		}
	}
}

// drop forgets those of a row that is gone.
func (l *foretellings) drop(stream, name string) {
	*l = slices.DeleteFunc(*l, func(o foretold) bool { return o.Stream == stream && o.Name == name })
}

// find gives the one that a statement of the source is, nil for none.
func (l foretellings) find(d *schemas.DDL, session uint32) *foretold {
	if d.Original != nil {
		d = d.Original // the names that it has at the source
	}
	is := names(d)
	for i := range l {
		f := &l[i]
		if uint32(f.Session) != session || f.Kind != d.Kind.String() { // the binlog holds four bytes of a session's number
			continue
		}
		// A server logs DROP TABLE of several tables as several statements where their engines differ.
		if strings.EqualFold(f.Tables, is) || d.Kind == schemas.DropTables && within(is, f.Tables) {
			return f
		}
	}
	return nil
}

// within reports that all tables of one list are in another.
func within(list, all string) bool {
	have := strings.Split(strings.ToLower(all), ",")
	return !slices.ContainsFunc(strings.Split(strings.ToLower(list), ","), func(n string) bool { return !slices.Contains(have, n) })
}

// namesMost is how much of a list of tables is kept, in bytes: less than the column holds.
const namesMost = 9000

// names lists the tables of a statement, as it is announced.
func names(d *schemas.DDL) string {
	list := make([]string, len(d.Names))
	for i, n := range d.Names {
		list[i] = n.String()
	}
	text := strings.Join(list, ",")
	return text[:min(len(text), namesMost)]
}

// standing are the foretellings behind a batch.
type standing struct {
	seq  uint64
	list foretellings
}

// memory is what the checkpoint keeps for the sink: the name of the last transaction that was acked and has a row, and below it, where there are any,
// the foretellings.
func memory(last string, list foretellings) ([]byte, error) {
	if len(list) == 0 {
		return []byte(last), nil
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	return append(append([]byte(last), '\n'), text...), nil
}

func recall(state []byte) (last string, list foretellings, err error) {
	head, rest, more := bytes.Cut(state, []byte{'\n'})
	if more {
		if err := json.Unmarshal(rest, &list); err != nil {
			return "", nil, fault.New(fault.SinkIntent, "what the checkpoint holds of the sink: %w", err)
		}
	}
	return string(head), list, nil
}
