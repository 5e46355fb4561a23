package event

import (
	"encoding/json"
	"fmt"

	"cdc/schemas"
)

// snapshotJSON is a Snapshot in words of our own.
type snapshotJSON struct {
	State  string     `json:"state"`
	ID     string     `json:"id,omitempty"`
	Rows   uint64     `json:"rows"`
	Tables []copyJSON `json:"tables,omitempty"`
	Asked  *askedJSON `json:"asked,omitempty"`
	Before string     `json:"before,omitempty"`
}

type askedJSON struct {
	Tables []nameJSON `json:"tables"`
	Where  string     `json:"where,omitempty"`
}

type nameJSON struct {
	Database string `json:"database"`
	Table    string `json:"table"`
}

type copyJSON struct {
	Database string   `json:"database"`
	Table    string   `json:"table"`
	Key      []string `json:"key,omitempty"`
	Cursor   []string `json:"cursor,omitempty"` // SQL literals
	Until    []string `json:"until,omitempty"`
	Rows     uint64   `json:"rows"`
	Done     bool     `json:"done,omitempty"`
}

func toSnapshot(s *Snapshot) *snapshotJSON {
	j := &snapshotJSON{State: s.State.String(), ID: s.ID, Rows: s.Rows}
	for _, t := range s.Tables {
		j.Tables = append(j.Tables, copyJSON{
			Database: t.Name.Database, Table: t.Name.Table, Key: t.Key, Cursor: t.Cursor, Until: t.Until, Rows: t.Rows, Done: t.Done,
		})
	}
	if a := s.Asked; a != nil {
		j.Asked = &askedJSON{Where: a.Where}
		for _, n := range a.Tables {
			j.Asked.Tables = append(j.Asked.Tables, nameJSON(n))
		}
		j.Before = s.Before.String()
	}
	return j
}

// MarshalJSON gives the text that checkpoints are exported with, and that a sink keeps which has the place of a snapshot with its data.
func (s Snapshot) MarshalJSON() ([]byte, error) { return json.Marshal(toSnapshot(&s)) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Snapshot) UnmarshalJSON(text []byte) error {
	var j snapshotJSON
	err := json.Unmarshal(text, &j)
	if err == nil {
		*s, err = j.snapshot()
	}
	return err
}

func (j *snapshotJSON) snapshot() (s Snapshot, err error) {
	if s.State, err = parseState(j.State); err != nil {
		return s, err
	}
	s.ID, s.Rows = j.ID, j.Rows
	for _, t := range j.Tables {
		s.Tables = append(s.Tables, TableCopy{
			Name: schemas.Name{Database: t.Database, Table: t.Table}, Key: t.Key, Cursor: t.Cursor, Until: t.Until, Rows: t.Rows, Done: t.Done,
		})
	}
	if j.Asked == nil {
		return s, nil
	}
	s.Asked = &Asked{Where: j.Asked.Where}
	for _, n := range j.Asked.Tables {
		s.Asked.Tables = append(s.Asked.Tables, schemas.Name(n))
	}
	s.Before, err = parseState(j.Before)
	return s, err
}

func parseState(text string) (s SnapshotState, err error) {
	for ; s.Valid(); s++ {
		if s.String() == text {
			return s, nil
		}
	}
	return s, fmt.Errorf("snapshot state %q: none, running or done", text)
}
