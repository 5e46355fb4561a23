package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/recovery/materialize"
	"cdc/schemas"
	"cdc/sinks/files"
)

// published is what a place has for materialize, with the length and checksum of each file.
type published struct {
	materialize.Input
	sums map[string]sum
}

type sum struct {
	bytes int64
	crc   string
}

// changelog reads place, manifests and statements. The place comes first: what is in it is in the manifests too, which are read behind it. Publications behind it count: files.Manifests
// gives none without those before it, and a file that was merged since may have rows of before and behind it.
func changelog(ctx context.Context, name string, at files.Reader) (*published, error) {
	in := &published{sums: map[string]sum{}}
	place, err := files.PlaceOf(ctx, at)
	if err != nil {
		return nil, err
	}
	if place == nil {
		return nil, fault.New(fault.UsageInvalid, "%s has no place of a files sink: nothing was published there", name)
	}
	in.Stream, in.Place, in.At = place.Stream, place.GTIDs, place.Number
	s := &place.Snapshot
	in.Copying = s.State == event.SnapshotRunning && (s.Asked == nil || s.Before != event.SnapshotDone)
	in.Copied = s.State == event.SnapshotDone || s.State == event.SnapshotRunning && !in.Copying
	flavor := gtid.MySQL
	err = files.Manifests(ctx, at, func(p *files.Publication) error {
		out := materialize.Publication{Number: p.Number, Time: p.Time}
		if p.Server != nil {
			out.Server = *p.Server
			flavor = p.Server.Flavor
			out.Switched = p.Before != nil && (p.Before.UUID != p.Server.UUID || p.Before.ID != p.Server.ID)
		}
		if p.GTIDs != "" {
			set, err := gtid.Parse(flavor, p.GTIDs)
			if err != nil {
				return fault.New(fault.SinkAltered, "the manifest of publication %d: %w", p.Number, err)
			}
			out.GTIDs = set
		}
		for i := range p.Files {
			f := &p.Files[i]
			in.sums[f.Path] = sum{f.Bytes, f.CRC}
			if f.Statements() {
				if out.Statements, err = statements(ctx, at, f, out.Statements); err != nil {
					return err
				}
				continue
			}
			m := materialize.File{Path: f.Path, Name: schemas.Name{Database: f.Database, Table: f.Table}, Rows: f.Rows, Bytes: f.Bytes}
			if f.First != nil && f.Last != nil {
				m.First = materialize.Place{GTID: f.First.GTID, File: f.First.File, Offset: f.First.Offset}
				m.Last = materialize.Place{GTID: f.Last.GTID, File: f.Last.File, Offset: f.Last.Offset}
			}
			out.Files = append(out.Files, m)
		}
		for i := range p.Expired {
			f := &p.Expired[i]
			m := materialize.File{Path: f.Path, Name: schemas.Name{Database: f.Database, Table: f.Table}, Rows: f.Rows, Bytes: f.Bytes, Gone: "it was removed for its age"}
			if f.First != nil && f.Last != nil {
				m.First = materialize.Place{GTID: f.First.GTID, File: f.First.File, Offset: f.First.Offset}
				m.Last = materialize.Place{GTID: f.Last.GTID, File: f.Last.File, Offset: f.Last.Offset}
			}
			out.Files = append(out.Files, m)
		}
		in.Publications = append(in.Publications, out)
		return nil
	})
	return in, err
}

// statementLine is a statement as format plain writes it.
type statementLine struct {
	Op      string       `json:"op"`
	DB      string       `json:"db"`
	GTID    string       `json:"gtid"`
	File    string       `json:"file"`
	Txn     uint64       `json:"txn"`
	DDL     string       `json:"ddl"`
	Tables  []schemaName `json:"tables"`
	Session struct {
		SQLMode    uint64 `json:"sql_mode"`
		Client     uint16 `json:"client"`
		Connection uint16 `json:"connection"`
		Server     uint16 `json:"server"`
		Database   uint16 `json:"database"`
		UTF8MB4    uint16 `json:"utf8mb4"`
		Explicit   uint8  `json:"explicit_timestamp"`
		TimeZone   string `json:"time_zone"`
	} `json:"session"`
}

type schemaName struct {
	DB    string `json:"db"`
	Table string `json:"table"`
}

// statements appends those of a file.
func statements(ctx context.Context, at files.Reader, f *files.Listed, all []materialize.Statement) (_ []materialize.Statement, err error) {
	bad := func(err error) error {
		if _, ok := fault.As(err); ok {
			return err
		}
		return fault.New(fault.MaterializeFormat, "%s: %w", f.Path, err)
	}
	r, err := at.Open(ctx, f.Path)
	if err != nil {
		return nil, bad(err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	crc := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	d := json.NewDecoder(io.TeeReader(bufio.NewReader(r), crc))
	for n := int64(0); ; n++ {
		var l statementLine
		err := d.Decode(&l)
		if errors.Is(err, io.EOF) {
			if n != f.Rows || fmt.Sprintf("%08x", crc.Sum32()) != f.CRC {
				return nil, bad(errors.New("it is not as it was published"))
			}
			return all, nil
		}
		if err == nil && l.Op != "ddl" {
			err = fmt.Errorf("line %d is no statement of the format plain", n+1)
		}
		if err != nil {
			return nil, bad(err)
		}
		s := materialize.Statement{Place: materialize.Place{GTID: l.GTID, File: l.File, Offset: l.Txn}}
		s.Statement = schemas.Statement{
			Text: l.DDL, Database: l.DB, SQLMode: l.Session.SQLMode, ClientCollation: l.Session.Client, ConnectionCollation: l.Session.Connection, ServerCollation: l.Session.Server,
			DatabaseCollation: l.Session.Database, DefaultUTF8MB4: l.Session.UTF8MB4, ExplicitTimestamp: l.Session.Explicit, TimeZone: l.Session.TimeZone,
		}
		for _, t := range l.Tables {
			s.Names = append(s.Names, schemas.Name{Database: t.DB, Table: t.Table})
		}
		all = append(all, s)
	}
}

// changeFiles opens files of changes. Each is compared with its manifest when it is opened first; one that lies elsewhere is fetched each time, and read here.
type changeFiles struct {
	at      files.Reader
	into    string
	sums    map[string]sum
	checked map[string]bool
}

func (c *changeFiles) open(ctx context.Context, f *materialize.File) (materialize.Opened, int64, error) {
	want := c.sums[f.Path]
	altered := func(format string, args ...any) error {
		return fault.New(fault.MaterializeFormat, "%s: %w", f.Path, fmt.Errorf(format, args...)).At(fault.Where{Table: f.Name.String()})
	}
	failed := func(err error) error {
		if _, ok := fault.As(err); ok || ctx.Err() != nil {
			return err
		}
		if errors.Is(err, os.ErrNotExist) {
			return fault.New(fault.MaterializeBeginning, "%s is gone", f.Path).At(fault.Where{Table: f.Name.String()})
		}
		return altered("%w", err)
	}
	r, err := c.at.Open(ctx, f.Path)
	if err != nil {
		return nil, 0, failed(err)
	}
	local, here := r.(materialize.Opened)
	if !here {
		if local, err = c.fetch(r, f.Path); err != nil {
			return nil, 0, failed(err)
		}
	}
	if !c.checked[f.Path] {
		crc := crc32.New(crc32.MakeTable(crc32.Castagnoli))
		n, err := io.Copy(crc, io.NewSectionReader(local, 0, 1<<62))
		switch sum := fmt.Sprintf("%08x", crc.Sum32()); {
		case err != nil:
			err = failed(err)
		case n != want.bytes:
			err = altered("it is %d bytes long, and was %d when it was published", n, want.bytes)
		case sum != want.crc:
			err = altered("its checksum is %s, and was %s when it was published", sum, want.crc)
		}
		if err != nil {
			return nil, 0, errors.Join(err, local.Close())
		}
		c.checked[f.Path] = true
	}
	return local, want.bytes, nil
}

// fetch copies a file into one that has no name any more.
func (c *changeFiles) fetch(r io.ReadCloser, name string) (_ materialize.Opened, err error) {
	defer func() { err = errors.Join(err, r.Close()) }()
	dir := c.into
	if _, err := os.Stat(dir); err != nil {
		dir = "" // a dry run makes no folder
	}
	f, err := os.CreateTemp(dir, ".build-fetch-*")
	if err != nil {
		return nil, fault.New(fault.MaterializeWrite, "%w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fault.New(fault.MaterializeWrite, "%w", err), f.Close())
	}
	if _, err := io.Copy(f, r); err != nil {
		return nil, errors.Join(fmt.Errorf("fetch %s: %w", name, err), f.Close())
	}
	return f, nil
}
