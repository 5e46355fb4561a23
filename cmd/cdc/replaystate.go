package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"cdc/fault"
)

// replayState is what is known of a replay beside its checkpoint: a file in its folder, which is written before anything is carried.
type replayState struct {
	// ID makes the name of the stream one that no earlier replay had: what the target remembers of those must not be taken for what this one has done.
	ID     string `json:"id"`
	Asked  asked  `json:"asked"`
	Behind string `json:"behind"`  // GTIDs that the target had when it began
	ByGTID bool   `json:"by_gtid"` // places are kept by GTID
	Next   bool   `json:"gtid_next"`
	Done   bool   `json:"done"`

	dir string
}

const replayFile = "replay.json"

// readReplay gives the state in a folder; nil where no replay was begun there.
func readReplay(dir string) (*replayState, error) {
	text, err := os.ReadFile(filepath.Join(dir, replayFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(fault.RecoverySpace, "read the state of the replay: %w", err)
	}
	s := &replayState{dir: dir}
	if err := json.Unmarshal(text, s); err != nil || s.ID == "" {
		return nil, fault.New(fault.RecoveryBegun, "%s: %w", filepath.Join(dir, replayFile), err)
	}
	return s, nil
}

// newReplayState begins a replay in a folder.
func newReplayState(dir string, a asked) (*replayState, error) {
	var id [4]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("make a name: %w", err)
	}
	return &replayState{ID: hex.EncodeToString(id[:]), Asked: a, dir: dir}, nil
}

// name is that of the stream.
func (s *replayState) name(stream string) string {
	const most = 64 - len(".replay-12345678")
	return stream[:min(len(stream), most)] + ".replay-" + s.ID
}

// save writes the state, so that it survives a power failure.
func (s *replayState) save() error {
	err := os.MkdirAll(s.dir, 0o700)
	if err == nil {
		err = writeDurably(filepath.Join(s.dir, replayFile), s)
	}
	if err != nil {
		return fault.New(fault.RecoverySpace, "write the state of the replay: %w", err)
	}
	return nil
}
