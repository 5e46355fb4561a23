//go:build servers

package relay_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cdc/gtid"
	"cdc/internal/settings"
	"cdc/internal/testbed"
	"cdc/session"
	"cdc/source"
	"cdc/source/binlog"
	"cdc/source/files"
	"cdc/source/live"
	"cdc/source/relay"
)

// child is what the process is told that the power is cut from.
type child struct {
	Address, Password, Dir string
	Flavor                 gtid.Flavor
}

const childVariable = "CDC_RELAY_CHILD"

func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		if err := beChild(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// beChild keeps a relay with semi-synchronous acknowledgements, and says on its standard output what has become durable.
func beChild(text string) error {
	var c child
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	r, err := relay.Open(context.Background(), relay.Options{Dir: c.Dir, Flavor: c.Flavor, Retain: time.Hour, Synced: func(path string, size int64) {
		fmt.Printf("%s %d\n", path, size)
	}})
	if err != nil {
		return err
	}
	defer r.Close()
	tap := live.TapOptions{
		Config:   live.Config{Config: session.Config{Address: c.Address, User: testbed.User, Password: settings.Secret{File: c.Password}}},
		SemiSync: true, Stream: c.Dir, Flavor: c.Flavor,
	}
	return r.Run(context.Background(), relay.Taps{
		First: func(ctx context.Context) (source.Place, error) { return live.FirstPlace(ctx, tap, live.Start{}) },
		Open: func(ctx context.Context, from source.Place, last int64) (source.Tap, error) {
			o := tap
			o.From, o.Last = from, last
			return live.OpenTap(ctx, o)
		},
	})
}

// TestServersPowerCut cuts the power of a server and of the relay beside it at a random moment under load: both are killed, of the relay's files only what was
// synced is left, and the server's disk is thrown away. Every commit that a client saw succeed is in the relay.
func TestServersPowerCut(t *testing.T) {
	trials := 1
	if v := os.Getenv("CDC_POWER_CUTS"); v != "" {
		var err error
		if trials, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	list := []testbed.Kind{testbed.MySQL97, testbed.MariaDB118} // the older ones come without the plugin
	if v := os.Getenv("CDC_KINDS"); v != "" {
		list = nil
		for _, k := range testbed.Kinds() {
			if slices.Contains(strings.Split(v, ","), k.String()) {
				list = append(list, k)
			}
		}
	}
	for _, k := range list {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			for range trials {
				powerCut(t, k)
			}
		})
	}
}

// semiSync is what has a server wait for replicas, and the word of its variables: for the source of MySQL 8.0.26 and later, the master of others.
func semiSync(k testbed.Kind) (args []string, word string) {
	word = "source"
	if k.MariaDB() || k == testbed.MySQL57 {
		word = "master"
	}
	if !k.MariaDB() { // it has it built in
		args = append(args, "--plugin-load-add=semisync_"+word+".so")
	}
	return append(args, "--loose-rpl-semi-sync-"+word+"-enabled=ON", "--loose-rpl-semi-sync-"+word+"-timeout=600000"), word
}

func powerCut(t *testing.T, k testbed.Kind) {
	args, word := semiSync(k)
	s := testbed.Start(t, k, testbed.Options{Durable: true, Args: args})
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(testbed.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "relay")
	text, err := json.Marshal(child{s.Addr(), password, dir, flavorOf(k)})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	synced := map[string]int64{}
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			path, size, _ := strings.Cut(sc.Text(), " ")
			n, err := strconv.ParseInt(size, 10, 64)
			if err == nil {
				synced[path] = n
			}
		}
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	number := func(name string) int {
		rows, err := s.Query(t.Context(), "SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_"+word+"_"+name+"'")
		if err != nil || len(rows) != 1 {
			t.Fatalf("%s: %v %v", name, rows, err)
		}
		n, err := strconv.Atoi(rows[0][1].String)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	until := time.Now().Add(2 * time.Minute)
	for number("clients") != 1 {
		if time.Now().After(until) {
			t.Fatal("the relay is no semi-synchronous replica")
		}
	}
	testbed.MustExec(t, s, "CREATE DATABASE d", "CREATE TABLE d.seen(id BIGINT PRIMARY KEY, v LONGTEXT)")

	// Clients note what they saw succeed.
	var mu sync.Mutex
	seen := map[string]bool{}
	var clients sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for c := range 4 {
		clients.Go(func() {
			conn, err := s.Conn(ctx)
			if err != nil {
				return
			}
			defer conn.Close()
			for i := c; ctx.Err() == nil; i += 4 {
				size := 10
				if i%50 == 7 {
					size = 2_000_000 // an event that is streamed
				}
				if _, err := conn.Execute(fmt.Sprintf("INSERT INTO d.seen VALUES (%d,REPEAT('x',%d))", i, size)); err != nil {
					return
				}
				mu.Lock()
				seen[strconv.Itoa(i)] = true
				mu.Unlock()
			}
		})
	}
	enough := 100 + rand.IntN(300)
	for until = time.Now().Add(2 * time.Minute); ; {
		mu.Lock()
		n := len(seen)
		mu.Unlock()
		if n >= enough {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("%d commits, and no more", n)
		}
		if acks := number("yes_tx"); n > 0 && acks == 0 {
			t.Fatal("a commit did not wait")
		}
	}
	if n := number("no_tx"); n != 0 {
		t.Errorf("%d transactions were not acknowledged", n)
	}
	_ = cmd.Process.Kill()
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	clients.Wait()
	<-heard
	_ = cmd.Wait()

	// The power is gone: of each file there is what was synced.
	all, err := filepath.Glob(filepath.Join(dir, "*", "binlog.*"))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	lost := int64(0)
	for _, path := range all {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if synced[path] == 0 {
			err = os.Remove(path)
		} else {
			err = os.Truncate(path, synced[path])
		}
		if err != nil {
			t.Fatal(err)
		}
		lost += info.Size() - synced[path]
	}
	r, err := relay.Open(t.Context(), relay.Options{Dir: dir, Flavor: flavorOf(k)})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	src, err := files.Open(files.Config{Paths: relayFiles(t, dir), Binlog: binlog.Config{Flavor: flavorOf(k)}, AllowUnnamed: true})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	kept := 0
	for {
		b, err := src.Read(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Changes {
			kept++
			delete(seen, strconv.FormatInt(b.After(i).Cells[0].Int64(), 10))
		}
		b.Release()
	}
	t.Logf("%d transactions are in the relay, %d bytes behind the last sync were cut off", kept, lost)
	if len(seen) > 0 || kept < enough {
		t.Errorf("%d commits that a client saw succeed are not in the relay, of %d", len(seen), kept)
	}
}
