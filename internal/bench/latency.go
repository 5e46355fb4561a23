package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"
)

// follower shows the changes of lat.t as they come: it calls seen with each, as JSON, from one goroutine, until stop is called.
type follower func(ctx context.Context, seen func([]byte)) (stop func(), err error)

// command is one of this program's, which ends with the run.
func (b *bencher) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(b.ctx, b.bin, args...)
	cmd.Stderr = os.Stderr
	return cmd
}

// latencyTail is latency to the output of `cdc tail`.
func (b *bencher) latencyTail() error {
	return b.latency("a line of `cdc tail`", 10*time.Millisecond, func(_ context.Context, seen func([]byte)) (func(), error) {
		cmd := b.command("tail", b.server.URL("root"), "--tables", "lat.t")
		out, err := cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		read := make(chan struct{})
		go func() {
			defer close(read)
			eachLine(out, seen)
		}()
		return func() { end(cmd); <-read }, nil
	})
}

// eachLine reads a process's output line by line.
func eachLine(r io.Reader, yield func([]byte)) {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 1<<20), 1<<24)
	for s.Scan() {
		yield(s.Bytes())
	}
}

// latency commits 1,000 transactions a second from ten sessions for ten seconds, and takes the time from the return of each commit to its change
// at a follower.
func (b *bencher) latency(what string, goal time.Duration, follow follower) error {
	fmt.Fprintln(os.Stderr, "bench: latency to", what)
	if err := b.server.Exec(b.ctx, "DROP DATABASE IF EXISTS lat", "CREATE DATABASE lat", "CREATE TABLE lat.t (id BIGINT PRIMARY KEY, v VARCHAR(100))"); err != nil {
		return err
	}
	const sessions, each, warm = 10, 1000, 100
	var mu sync.Mutex
	seen, committed := map[int64]time.Time{}, map[int64]time.Time{}
	ready := make(chan struct{})
	stop, err := follow(b.ctx, func(text []byte) {
		now := time.Now()
		var c struct {
			After *struct {
				ID int64 `json:"id"`
			} `json:"after"`
		}
		if json.Unmarshal(text, &c) != nil || c.After == nil {
			return
		}
		if c.After.ID < 0 {
			select {
			case <-ready:
			default:
				close(ready)
			}
			return
		}
		mu.Lock()
		seen[c.After.ID] = now
		mu.Unlock()
	})
	if err != nil {
		return err
	}
	stop = sync.OnceFunc(stop)
	defer stop()
	if err := b.probe(ready); err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make(chan error, sessions)
	for s := range sessions {
		wg.Go(func() {
			conn, err := b.server.Conn(b.ctx)
			if err != nil {
				errs <- err
				return
			}
			defer conn.Close()
			tick := time.NewTicker(sessions * time.Millisecond)
			defer tick.Stop()
			for i := range each {
				<-tick.C
				id := int64(s*each + i)
				if _, err := conn.Execute(fmt.Sprintf("INSERT INTO lat.t VALUES (%d, 'some text of a usual length for a row')", id)); err != nil {
					errs <- err
					return
				}
				now := time.Now()
				mu.Lock()
				committed[id] = now
				mu.Unlock()
			}
		})
	}
	began := time.Now()
	wg.Wait()
	took := time.Since(began)
	select {
	case err := <-errs:
		return err
	default:
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		mu.Lock()
		n := len(seen)
		mu.Unlock()
		if n == sessions*each {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d changes came", n, sessions*each)
		}
	}
	stop()
	var all []time.Duration
	for id, at := range committed {
		if id%each >= warm {
			all = append(all, max(0, seen[id].Sub(at))) // the change may be out before the commit has returned
		}
	}
	slices.Sort(all)
	b.note(fmt.Sprintf("latency at %.0f transactions/s, commit returns to %s", float64(sessions*each)/took.Seconds(), what), fmt.Sprintf("p99 below %d ms, on an idle machine", goal.Milliseconds()),
		"p50 %.2f ms, p99 %.2f ms, max %.2f ms", ms(all[len(all)/2]), ms(all[len(all)*99/100]), ms(all[len(all)-1]))
	return nil
}

// probe writes rows until one of them comes out: a follower starts at "now".
func (b *bencher) probe(ready <-chan struct{}) error {
	deadline := time.Now().Add(time.Minute)
	for i := int64(-1); ; i-- {
		if err := b.server.Exec(b.ctx, fmt.Sprintf("INSERT INTO lat.t VALUES (%d, 'probe')", i)); err != nil {
			return err
		}
		select {
		case <-ready:
			return nil
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return errors.New("no change came")
		}
	}
}
