package pipeline

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/fault"
	"cdc/format"
	"cdc/gtid"
)

// DeadFile writes dead letters as JSON lines to one local file per stream, which only its owner may read:
//
//	{"id":"24bc7850-…:7/0/0/transforms[1].filter","step":"transforms[1].filter","code":"CDC8002","reason":"…","masked":["email"],"change":{…}}
//
// change is the record that enc makes of it, which is of the plain format in `cdc run`; columns that the sink would not have seen in clear are not in it, and are named in masked. A line is
// on disk before the batch goes to the sink. After a crash changes behind the checkpoint are read again: their lines are known by their id and
// not written twice. The file is opened for each batch that has dead letters, so that it may be renamed at any time; what was renamed away
// since the checkpoint can be written again.
type DeadFile struct {
	path string
	seen map[string]struct{} // ids of lines behind the checkpoint, which an earlier run wrote; one run meets each change once
	enc  format.Encoder
	out  format.Out
	line []byte
	id   []byte
}

// OpenDeadFile opens the file of a stream in dir, which is made where it is missing. A line that a crash cut off is taken away. rec is the place
// where the stream is read on.
func OpenDeadFile(dir, stream string, enc format.Encoder, rec *checkpoint.Record) (*DeadFile, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, deadFault(err)
	}
	f := &DeadFile{path: filepath.Join(dir, stream+".jsonl"), seen: map[string]struct{}{}, enc: enc}
	file, err := os.OpenFile(f.path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, deadFault(err)
	}
	defer file.Close()
	whole, err := f.scan(file, rec)
	if err != nil {
		return nil, deadFault(err)
	}
	if err := file.Truncate(whole); err != nil {
		return nil, deadFault(err)
	}
	if err := file.Sync(); err != nil {
		return nil, deadFault(err)
	}
	return f, nil
}

func deadFault(err error) error {
	return fault.New(fault.DeadLetterSave, "dead letters: %w", err)
}

// scan reads the ids of the lines behind the record, and gives the length of the whole lines.
func (f *DeadFile) scan(r io.Reader, rec *checkpoint.Record) (whole int64, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		if err != nil {
			return 0, err
		}
		whole += int64(len(line))
		var l struct {
			ID   string `json:"id"`
			GTID string `json:"gtid"`
			File string `json:"file"`
			Txn  uint64 `json:"txn"`
		}
		if json.Unmarshal(line, &l) != nil || l.ID == "" {
			continue // somebody wrote into the file: not ours to judge
		}
		if g, err := gtid.ParseGTID(rec.Server.Flavor, l.GTID); err == nil && l.GTID != "" && rec.GTIDs != nil {
			if rec.GTIDs.Contains(g) {
				continue
			}
		} else if event.PlaceBefore(l.File, l.Txn, rec.File, rec.Offset) {
			continue
		}
		f.seen[l.ID] = struct{}{}
	}
}

// Write appends the dead letters of a batch and waits until they are on disk.
func (f *DeadFile) Write(_ context.Context, b *event.Batch) error {
	f.line = f.line[:0]
	for i := range b.Dead {
		f.id = appendLetterID(f.id[:0], b, &b.Dead[i])
		if _, ok := f.seen[string(f.id)]; ok {
			continue
		}
		if err := f.append(b, i); err != nil {
			return deadFault(err)
		}
	}
	if len(f.line) == 0 {
		return nil
	}
	if err := f.save(); err != nil {
		return deadFault(err)
	}
	return nil
}

// appendLetterID names a dead letter: the transaction, row and record, and the step.
func appendLetterID(dst []byte, b *event.Batch, d *event.DeadLetter) []byte {
	t := b.Txn(&d.Change)
	if t.GTID.IsZero() {
		dst = append(append(dst, t.File...), ':')
		dst = strconv.AppendUint(dst, t.Off, 10)
	} else {
		dst = t.GTID.Append(dst)
	}
	dst = strconv.AppendUint(append(dst, '/'), uint64(d.Change.Row), 10)
	dst = strconv.AppendUint(append(dst, '/'), uint64(d.Change.Sub), 10)
	return append(append(dst, '/'), d.Step...)
}

// deadLine is one line of the file.
type deadLine struct {
	ID     string          `json:"id"`
	GTID   string          `json:"gtid,omitempty"`
	File   string          `json:"file"`
	Txn    uint64          `json:"txn"`
	Table  string          `json:"table"`
	Step   string          `json:"step"`
	Code   string          `json:"code,omitempty"`
	Reason string          `json:"reason"`
	Masked []string        `json:"masked"`
	Change json.RawMessage `json:"change"` // null where it has no record: the place tells where to find it
}

func (f *DeadFile) append(b *event.Batch, i int) error {
	d := &b.Dead[i]
	t := b.Txn(&d.Change)
	l := deadLine{
		ID: string(f.id), File: t.File, Txn: t.Off, Table: d.Table.FullName(), Step: d.Step, Reason: d.Reason.Error(),
		Masked: append([]string{}, d.Masked...), Change: json.RawMessage("null"),
	}
	if !t.GTID.IsZero() {
		l.GTID = t.GTID.String()
	}
	if e, ok := fault.As(d.Reason); ok {
		l.Code, l.Reason = e.Code.String(), e.Text
	}
	f.out.Reset()
	if err := f.enc.Change(&f.out, b.Letter(i), 0); err == nil && len(f.out.Recs) > 0 {
		l.Change = f.out.Bytes(f.out.Recs[0].Value)
	}
	text, err := json.Marshal(&l)
	if err != nil {
		return err
	}
	f.line = append(append(f.line, text...), '\n')
	return nil
}

// save appends the lines. What a failed attempt left is cut off again, so that the next one does not continue a torn line.
func (f *DeadFile) save() (err error) {
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := file.Close(); err == nil {
			err = cerr
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if _, err := file.Write(f.line); err != nil {
		return errors.Join(err, file.Truncate(info.Size()))
	}
	if err := file.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync: %w", err), file.Truncate(info.Size()))
	}
	if info.Size() > 0 {
		return nil
	}
	dir, err := os.Open(filepath.Dir(f.path)) // a new file is there after a crash only when its folder was synced
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

var _ DeadLetters = (*DeadFile)(nil)
