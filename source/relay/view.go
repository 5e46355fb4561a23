package relay

import (
	"context"
	"os"
	"path/filepath"

	"cdc/source"
	"cdc/source/binlog"
)

// View is what a folder has, as it was looked at: for those who judge a place without writing the relay.
type View struct {
	r   *Relay
	end source.Place
}

// Survey looks at a folder, whether a process writes it or not; nil where it has no files. The newest file is read through, to find where it ends.
func Survey(ctx context.Context, dir string) (*View, error) {
	list, _, err := load(dir)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	v := &View{r: &Relay{opt: Options{Dir: dir}, segs: list}}
	if _, err := os.Stat(filepath.Join(dir, forcedName)); err == nil {
		v.r.forced = true
	}
	s := list[len(list)-1]
	done := clone(s.begin)
	f, err := s.scan(ctx, s.size, func(o binlog.Outlined) {
		if done != nil && !o.GTID.IsZero() {
			done.Add(o.GTID)
		}
	})
	if err != nil {
		return nil, err
	}
	v.end = source.Place{GTIDs: done, File: s.name, Offset: f.end, Server: s.in.origin.Server}
	return v, nil
}

// Has says why a reader could not go on from a place; nil where it can.
func (v *View) Has(from source.Place) error {
	v.r.mu.Lock()
	defer v.r.mu.Unlock()
	_, err := v.r.find(&from)
	return err
}

// Ends is where the relay's own reading goes on: what the source must still have.
func (v *View) Ends() source.Place {
	p := v.end
	p.GTIDs = clone(p.GTIDs)
	return p
}
