package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"cdc/checkpoint"
	"cdc/event"
	"cdc/fault"
	"cdc/gtid"
	"cdc/source"
	"cdc/source/live"
	"cdc/source/relay"
)

// relaying is the relay of a running pipeline.
type relaying struct {
	*relay.Relay
	app  *app
	cfg  RelayConfig
	wake chan struct{} // an operator wants a failed one to be tried again
	done chan struct{}
	end  context.CancelFunc
}

// tidyEvery is how often files that nobody needs are looked for.
const tidyEvery = time.Minute

// relayDir is the folder, "" without a relay.
func (c *Config) relayDir() string {
	if c.Source.Relay == nil {
		return ""
	}
	return c.path(c.Source.Relay.Dir)
}

// startRelay begins to copy the source's binlog; nil where none is wanted.
func (a *app) startRelay(ctx context.Context) (*relaying, error) {
	if a.cfg.Source.Relay == nil {
		return nil, nil
	}
	r := &relaying{app: a, cfg: *a.cfg.Source.Relay, wake: make(chan struct{}, 1), done: make(chan struct{})}
	var err error
	o := a.cfg.relayOptions(func() map[string]*source.Place { return a.cfg.relayNeeds(context.WithoutCancel(ctx), a.store) })
	o.Log = a.log
	r.Relay, err = relay.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	ctx, r.end = context.WithCancel(ctx)
	go func() {
		defer close(r.done)
		r.run(ctx)
	}()
	return r, nil
}

// run copies until ctx ends. What fails for good fails the streams, and is tried again when one is resumed.
func (r *relaying) run(ctx context.Context) {
	tidied := make(chan struct{})
	go func() {
		defer close(tidied)
		t := time.NewTicker(tidyEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				if err := r.Tidy(); err != nil {
					r.app.log.Warn("relay: old files could not be removed", "error", err)
				}
				if err := r.Relay.Look(ctx, r.taps()); err != nil {
					r.app.log.Debug("relay: the source could not be looked at", "error", err)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() { <-tidied }()
	shipped := make(chan struct{})
	go func() {
		defer close(shipped)
		if r.cfg.Archive != nil {
			r.Ship(ctx, relay.Shipping{Open: r.app.cfg.openArchive})
		}
	}()
	defer func() { <-shipped }()
	for {
		err := r.Run(ctx, r.taps())
		if err == nil {
			return
		}
		r.app.log.Error("relay: reading failed", "error", err)
		select {
		case <-r.wake:
		case <-ctx.Done():
			return
		}
	}
}

// close ends the copying and gives the folder back.
func (r *relaying) close() {
	if r == nil {
		return
	}
	r.end()
	<-r.done
	r.Close()
}

// obey looks for an order that came before there was a socket to send it to.
func (r *relaying) obey() error {
	if r == nil {
		return nil
	}
	return r.Obey()
}

// again has a relay that failed try once more.
func (r *relaying) again() {
	if r == nil {
		return
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *relaying) tap() live.TapOptions {
	c := r.app.cfg
	return live.TapOptions{
		Config: *c.Source.server(), Flavor: c.Source.flavor(), Stream: c.reader("\x00relay"), SemiSync: r.cfg.SemiSync, MaxRow: int64(c.MaxRow), Log: r.app.log,
	}
}

func (r *relaying) taps() relay.Taps {
	backoff := r.app.cfg.Source.server().Backoff
	return relay.Taps{First: r.first, Open: r.open, Look: r.look, Pause: backoff.First, Most: backoff.Most}
}

func (r *relaying) look(ctx context.Context, from source.Place, last int64) error {
	o := r.tap()
	o.From, o.Last = from, last
	return live.Look(ctx, o)
}

func (r *relaying) open(ctx context.Context, from source.Place, last int64) (source.Tap, error) {
	o := r.tap()
	o.From, o.Last = from, last
	t, err := live.OpenTap(ctx, o)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// first is where an empty relay begins: at the oldest place of the streams, and, where a stream is new, at that of the configuration.
func (r *relaying) first(ctx context.Context) (source.Place, error) {
	a := r.app
	var oldest *source.Place
	fresh := false
	for i := range a.cfg.Streams {
		rec, err := a.store.Load(ctx, a.cfg.Streams[i].Name)
		if errors.Is(err, checkpoint.ErrNone) {
			fresh = true
			continue
		}
		if err != nil {
			return source.Place{}, err
		}
		p := a.cfg.placeOf(&rec)
		if oldest, err = older(oldest, p); err != nil {
			return source.Place{}, err
		}
	}
	if !fresh && oldest != nil {
		return *oldest, nil
	}
	start, err := parseStart(a.cfg.Source.Start, a.cfg.Source.flavor())
	if err != nil {
		return source.Place{}, fault.New(fault.ConfigInvalid, "source.start: %w", err)
	}
	p, err := live.FirstPlace(ctx, r.tap(), start)
	if err != nil {
		return p, err
	}
	if oldest, err = older(oldest, &p); err != nil {
		return p, err
	}
	return *oldest, nil
}

// older gives the place from which both can go on.
func older(a, b *source.Place) (*source.Place, error) {
	switch {
	case a == nil:
		return b, nil
	case (a.GTIDs == nil) != (b.GTIDs == nil), a.GTIDs == nil && a.Server.UUID != b.Server.UUID:
		return nil, fault.New(fault.RelayOther, "one stream keeps its place by GTIDs and another by file, or they are of two servers: one relay cannot begin for both").
			Hint("use a pipeline and a relay of its own for each")
	case a.GTIDs != nil:
		return &source.Place{GTIDs: gtid.Intersect(a.GTIDs, b.GTIDs), Server: a.Server}, nil
	case event.PlaceBefore(b.File, b.Offset, a.File, a.Offset):
		return b, nil
	}
	return a, nil
}

// placeOf is where a stream goes on.
func (c *Config) placeOf(rec *checkpoint.Record) *source.Place {
	p := &source.Place{GTIDs: rec.GTIDs, File: rec.File, Offset: rec.Offset, Server: rec.Server}
	if c.Source.server().GTID == "off" && rec.File != "" {
		p.GTIDs = nil
	}
	if p.GTIDs != nil {
		p.File, p.Offset = "", 0
	}
	return p
}

// relayNeeds says how far each stream has come. One whose place cannot be read needs everything.
func (c *Config) relayNeeds(ctx context.Context, store checkpoint.Store) map[string]*source.Place {
	out := map[string]*source.Place{}
	for i := range c.Streams {
		name := c.Streams[i].Name
		out[name] = nil
		if rec, err := store.Load(ctx, name); err == nil {
			out[name] = c.placeOf(&rec)
		}
	}
	return out
}

// feed is what a stream reads in place of the server; nil without a relay.
func (a *app) feed(ctx context.Context) (live.Feed, error) {
	if a.relay == nil {
		return nil, nil
	}
	// Before the stream's place is found, so that it lies behind the relay's beginning.
	if err := a.relay.Ready(ctx); err != nil {
		return nil, err
	}
	return relayFeed{a.relay.Relay}, nil
}

// relayFeed fits a relay to what the source asks for.
type relayFeed struct{ *relay.Relay }

func (f relayFeed) Open(ctx context.Context, from source.Place) (live.FeedConn, source.Origin, error) {
	c, o, err := f.Follow(ctx, from)
	if err != nil {
		return nil, o, err
	}
	return c, o, nil
}

// withoutSource drops from a check what the relay makes needless: a stream that goes on from a checkpoint runs from the relay while the source is down, and
// needs no binlog that the source has purged.
func (s *stream) withoutSource(findings []fault.Finding, facts *source.Facts) ([]fault.Finding, *source.Facts) {
	if s.app.relay == nil || retryable(findings) == nil {
		return findings, facts
	}
	if _, ok := s.app.relay.Origin(); !ok {
		return findings, facts
	}
	return nil, nil
}

// relayStatus is what the status says of the relay.
type relayStatus struct {
	Dir        string         `json:"dir"`
	State      string         `json:"state"`
	Seconds    float64        `json:"state_seconds"`
	Source     string         `json:"source,omitempty"`
	ServerID   uint32         `json:"server_id,omitempty"`
	SemiSync   bool           `json:"semi_sync"`
	AtHead     bool           `json:"at_head"`
	GTIDs      string         `json:"gtids,omitempty"`
	File       string         `json:"file,omitempty"`
	Offset     uint64         `json:"offset,omitempty"`
	Files      []relay.File   `json:"files"`
	Bytes      int64          `json:"bytes"`
	Written    int64          `json:"bytes_written"` // since the process began
	Syncs      int64          `json:"syncs"`
	Acks       int64          `json:"acknowledgements"`
	Reconnects int            `json:"reconnects"`
	Paused     *relay.Paused  `json:"paused,omitempty"`
	Archive    *archiveStatus `json:"archive,omitempty"`
	Error      string         `json:"error,omitempty"`
	ErrorCode  string         `json:"error_code,omitempty"`
	Hint       string         `json:"hint,omitempty"`
	Running    bool           `json:"running"`
}

func (r *relaying) status() *relayStatus {
	if r == nil {
		return nil
	}
	st := r.Relay.Status()
	out := &relayStatus{
		Dir: r.app.cfg.relayDir(), State: string(st.State), Seconds: time.Since(st.Since).Seconds(), Source: cmp.Or(st.Origin.Server.Address, r.app.cfg.Source.server().Address),
		ServerID: st.Origin.ServerID, SemiSync: r.cfg.SemiSync, AtHead: r.AtHead(), Files: r.Files(), Written: st.Written, Syncs: st.Syncs, Acks: st.Acks,
		Reconnects: st.Reconnects, Running: true,
	}
	out.GTIDs, out.File, out.Offset = r.End()
	for i := range out.Files {
		out.Bytes += out.Files[i].Bytes
	}
	out.Paused, _ = relay.ReadPaused(out.Dir)
	out.Archive = r.app.cfg.archiveStatus(out.Files, r.ID())
	out.Archive.add(r.ArchiveStatus())
	if st.LastError != nil && st.State != relay.StateStreaming {
		out.Error = st.LastError.Error()
		if f, ok := fault.As(st.LastError); ok {
			out.ErrorCode, out.Hint = f.Code.String(), f.Next
		}
	}
	return out
}
