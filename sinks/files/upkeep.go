package files

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"cdc/gtid"
)

// An upkeep changes which files hold the rows of publications, and no row: it makes one file of several, or removes files that are old. What it did is a file
// beside the manifests, which appears as a whole. Manifests stay what they were; what counts are they and all upkeeps.

// upkeepPrefix begins the names of what upkeeps did.
const upkeepPrefix = "upkeep-"

func upkeepName(number uint64) string {
	return fmt.Sprintf("%s/%s%010d%s", manifestDir, upkeepPrefix, number, Extension)
}

// upkeepHead is the first line of what an upkeep did; the lines after it are upkeepLines.
type upkeepHead struct {
	Number uint64 `json:"upkeep"`
	Stream string `json:"stream,omitempty"`
	Time   int64  `json:"time"`  // when it was decided on, microseconds since 1970
	Files  int    `json:"files"` // lines that follow
}

// upkeepLine is a file that was made of others, or one that was removed.
type upkeepLine struct {
	Publication uint64 `json:"publication"`       // that it is of; that of the last piece
	Published   int64  `json:"published"`         // when that was decided on
	Expired     bool   `json:"expired,omitempty"` // removed, and nothing has its rows
	pubFile
	GTIDs  string  `json:"gtids,omitempty"`  // the transactions of the publications that the pieces are of
	Pieces []Piece `json:"pieces,omitempty"` // in whose place it is, in their order
}

// Piece is a file whose rows are in another now: Rows of them, behind those of the pieces before it.
type Piece struct {
	Publication uint64 `json:"publication"`
	Path        string `json:"path"`
	Rows        int64  `json:"rows"`
}

// upkeeps is what all of them did.
type upkeeps struct {
	gone map[string]gone    // files that do not count any more, by their paths
	made map[string]*Listed // files made of others, by their paths
	last uint64             // number of the last
	bad  map[string]error   // what cannot be read, by its name
}

// gone is what became of a file.
type gone struct {
	upkeep uint64
	into   string // the file that has its rows; "" where it was removed for its age
	tail   bool   // it was the last piece of that
}

// upkeepsOf reads what the upkeeps with these numbers did, which are in order.
func upkeepsOf(ctx context.Context, at Reader, numbers []uint64) (*upkeeps, error) {
	u := &upkeeps{gone: map[string]gone{}, made: map[string]*Listed{}, bad: map[string]error{}}
	for _, n := range numbers {
		u.last = n
		switch err := u.read(ctx, at, n); {
		case err == nil:
		case answered(ctx, err):
			return nil, err
		default:
			u.bad[upkeepName(n)] = err
		}
	}
	return u, nil
}

func (u *upkeeps) read(ctx context.Context, at Reader, number uint64) (err error) {
	f, err := at.Open(ctx, upkeepName(number))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var head *upkeepHead
	var lines []upkeepLine
	err = eachLine(f, bufio.NewReaderSize(nil, 64<<10), func(text []byte) error {
		if head == nil {
			head = &upkeepHead{}
			return json.Unmarshal(text, head)
		}
		var l upkeepLine
		if err := json.Unmarshal(text, &l); err != nil {
			return err
		}
		if !fs.ValidPath(l.Path) || l.Expired == (len(l.Pieces) > 0) {
			return fmt.Errorf("it names %q", l.Path)
		}
		lines = append(lines, l)
		return nil
	})
	switch {
	case err != nil:
		return err
	case head == nil:
		return errors.New("it is empty")
	case head.Number != number:
		return fmt.Errorf("it says that it is number %d", head.Number)
	case head.Files != len(lines):
		return fmt.Errorf("it names %d files and says that there are %d", len(lines), head.Files)
	}
	for i := range lines {
		l := &lines[i]
		if l.Expired {
			u.gone[l.Path] = gone{upkeep: number}
			continue
		}
		for n, p := range l.Pieces {
			u.gone[p.Path] = gone{upkeep: number, into: l.Path, tail: n == len(l.Pieces)-1}
		}
		u.made[l.Path] = &Listed{Publication: l.Publication, Time: l.Published, Upkeep: number, Pieces: l.Pieces, pubFile: l.pubFile, gtids: l.GTIDs}
	}
	return nil
}

// current gives the file that stands in a listing where one was published: the file itself; the one made of it and those before it; none where the rows are in a
// file that stands where another was, or where they are not kept any more.
func (u *upkeeps) current(f *Listed) (*Listed, bool) {
	for {
		g, ok := u.gone[f.Path]
		if !ok {
			return f, true
		}
		if !g.tail {
			return nil, false
		}
		f = u.made[g.into]
	}
}

// expired reports that the rows of a file are not kept any more.
func (u *upkeeps) expired(name string) bool {
	for {
		g, ok := u.gone[name]
		if !ok || g.into == "" {
			return ok
		}
		name = g.into
	}
}

// apply makes of the files of a publication those that there are now.
func (u *upkeeps) apply(p *Publication) {
	now := make([]Listed, 0, len(p.Files))
	for i := range p.Files {
		switch f, ok := u.current(&p.Files[i]); {
		case ok:
			now = append(now, *f)
		case u.expired(p.Files[i].Path):
			p.Expired = append(p.Expired, p.Files[i])
		}
	}
	p.Files = now
}

// parse reads a set of the publication's transactions; nil where there are no GTIDs.
func (p *Publication) parse(text string) (*gtid.Set, error) {
	if text == "" {
		return nil, nil
	}
	f := gtid.MySQL
	if p.flavor == gtid.MariaDB.String() {
		f = gtid.MariaDB
	}
	return gtid.Parse(f, text)
}
