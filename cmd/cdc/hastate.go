package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"cdc/checkpoint/badger"
	"cdc/checkpoint/topic"
	"cdc/fault"
)

var writerForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// writerID names a checkpoint folder among those of all machines. It is made once and stays in the folder: rows of prepared XA transactions lie there and nowhere else, and
// a record in the topic says in whose.
func writerID(dir string) (string, error) {
	path := filepath.Join(dir, "writer-id")
	text, err := os.ReadFile(path)
	if err == nil {
		id := strings.TrimSpace(string(text))
		if !writerForm.MatchString(id) {
			return "", fault.New(fault.CheckpointCorrupt, "%s does not hold the name of the folder", path).
				Hint("remove it, unless a prepared XA transaction waits for its end at the source: its rows are found by it")
		}
		return id, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fault.New(fault.CheckpointIO, "read the folder's name: %w", err)
	}
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return "", fault.New(fault.CheckpointIO, "make the folder's name: %w", err)
	}
	id := hex.EncodeToString(b)
	if err := writeBytesDurably(path, []byte(id+"\n")); err != nil {
		return "", fault.New(fault.CheckpointIO, "keep the folder's name: %w", err)
	}
	return id, nil
}

// noteOrders is the name under which the topic has the operator's orders.
const noteOrders = "orders"

// beside brings the orders of the folder to those of the topic, or those into a topic that has none, and keeps them in both from now on: the topic first, so that no order
// is obeyed that the next owner does not know.
func (o *orders) beside(ctx context.Context, both *topic.Both) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	theirs := both.Note(noteOrders)
	ours, err := json.Marshal(o.all)
	if err != nil {
		return err
	}
	switch {
	case theirs == nil && len(o.all) > 0:
		if err := both.SetNote(ctx, noteOrders, ours); err != nil {
			return err
		}
	case theirs != nil && !bytes.Equal(theirs, ours):
		all := map[string]*streamOrders{}
		if err := json.Unmarshal(theirs, &all); err != nil {
			return fault.New(fault.CheckpointCorrupt, "the operator's orders in the topic cannot be read: %w", err)
		}
		if err := writeDurably(ordersPath(o.dir), all); err != nil {
			return fault.New(fault.CheckpointIO, "keep the operator's orders: %w", err)
		}
		o.all = all
	}
	o.keep = func(text []byte) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return both.SetNote(ctx, noteOrders, text)
	}
	return nil
}

// ordersBeside reads the orders of a checkpoint folder whose store is open.
func ordersBeside(ctx context.Context, dir string, store placeStore) (*orders, error) {
	o, err := readOrders(dir)
	if both, ok := store.(*topic.Both); ok && err == nil {
		err = o.beside(ctx, both)
	}
	return o, err
}

// asOwner does something to the places of a pipeline that no process carries: as its owner, so that the topic has it too. It is refused where another process is the owner.
func (c *Config) asOwner(ctx context.Context, local *badger.Store, do func(placeStore) error) error {
	o, err := c.candidate()
	if err != nil {
		return err
	}
	seeking, cancel := context.WithCancel(ctx)
	defer cancel()
	second := false
	o.StandsBy = func() {
		second = true
		cancel()
	}
	t, err := topic.Elect(seeking, o)
	if second {
		var other topic.Owner
		if v, err := topic.Peek(ctx, o.Options); err == nil {
			other = v.Owner()
		}
		if t != nil {
			_ = t.Close()
		}
		return standsBy(o.Group, other)
	}
	if err != nil {
		return err
	}
	store, err := topic.Open(ctx, o.Options)
	if err != nil {
		return errors.Join(err, t.Close())
	}
	both, err := topic.Beside(ctx, store, local)
	if err == nil {
		err = do(both)
	}
	return errors.Join(err, store.Close(), t.Close())
}

// haStatus says what this process is among those of its pipeline.
type haStatus struct {
	Group string     `json:"group"`
	Topic string     `json:"topic"`
	Role  string     `json:"role"` // owner, standby, or stopped
	Owner string     `json:"owner,omitempty"`
	Since *time.Time `json:"since,omitempty"` // of the owner
	Error string     `json:"error,omitempty"` // why there is no election at present
}

func (h *availability) status() *haStatus {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &haStatus{Group: h.o.Group, Topic: h.o.Topic, Role: standby}
	switch {
	case h.both != nil:
		s.Role, s.Owner, s.Since = "owner", h.o.Name, new(h.since.UTC().Truncate(time.Second))
	case !h.other.Since.IsZero():
		s.Owner, s.Since = h.other.Name, &h.other.Since
	}
	if h.reason != nil {
		s.Error = h.reason.Error()
	}
	return s
}

// haStopped asks the topic who the owner is, for a process that does not run.
func (c *Config) haStopped(ctx context.Context) *haStatus {
	if c.HA == nil {
		return nil
	}
	k := c.HA.Kafka.WithDefaults()
	s := &haStatus{Group: k.Group, Topic: k.Topic, Role: "stopped"}
	v, err := c.peek(ctx)
	if err != nil {
		s.Error = err.Error()
		return s
	}
	if o := v.Owner(); !o.Since.IsZero() {
		s.Owner, s.Since = o.Name, &o.Since
	}
	return s
}

// peek reads the topic, and takes it from nobody.
func (c *Config) peek(ctx context.Context) (*topic.View, error) {
	o, err := c.haOptions()
	if err != nil {
		return nil, err
	}
	o.Patience = 5 * time.Second
	return topic.Peek(ctx, o.Options)
}

func (s *haStatus) String() string {
	if s == nil {
		return ""
	}
	since := ""
	if s.Since != nil {
		since = ", since " + s.Since.Format(time.RFC3339)
	}
	text := map[string]string{
		"owner":   "this process is the owner in the group " + s.Group + since,
		standby:   "this process stands by in the group " + s.Group,
		"stopped": "this process does not run",
	}[s.Role]
	if s.Role != "owner" && s.Owner != "" {
		text += "; the last owner to begin was " + s.Owner + since
	}
	if s.Error != "" {
		text += ": " + s.Error
	}
	return text
}
