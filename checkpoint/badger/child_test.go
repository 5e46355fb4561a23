package badger

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"cdc/checkpoint"
	"cdc/checkpoint/checkpointtest"
	"cdc/schemas"
)

// Some tests need a process that may die: the test binary runs itself with childEnv set to what it should do.
const childEnv = "CDC_CHECKPOINT_TEST_CHILD"

func TestMain(m *testing.M) {
	args := strings.Split(os.Getenv(childEnv), "|")
	var err error
	switch args[0] {
	case "":
		os.Exit(m.Run())
	case "save":
		err = childSave(args[1])
	case "damage":
		err = childDamage(args[1], args[2], args[3:]...)
	case "fill":
		err = childFill(args[1])
	case "full":
		err = fullChild(args[1])
	case "open":
		err = childOpen(args[1])
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// fullChild is set where the test that needs it is built.
var fullChild func(dir string) error

func childCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe)
	c.Env = append(os.Environ(), childEnv+"="+strings.Join(args, "|"))
	return c
}

// seqOf is the schema entry that record n of the child needs: one more for every third record, now and then many.
func seqOf(n uint64) uint64 { return n/3 + n/50*20 }

// childSave goes on from what the folder holds and saves records for ever, printing each number after it was acknowledged.
func childSave(dir string) error {
	ctx := context.Background()
	s, err := Open(ctx, dir, Options{})
	if err != nil {
		return err
	}
	n, seq, err := resume(ctx, s)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	for n++; ; n++ {
		var add []schemas.Entry
		for seq < seqOf(n) {
			seq++
			add = append(add, checkpointtest.Entry(seq, int(seq%40)))
		}
		if err := s.Append(ctx, "a", add); err != nil {
			return err
		}
		if err := s.Save(ctx, "a", checkpointtest.Record(n, seq)); err != nil {
			return err
		}
		fmt.Fprintln(out, "saved", n)
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

// resume loads the record and checks it and the history against what they must be.
func resume(ctx context.Context, s *Store) (n, seq uint64, err error) {
	r, err := s.Load(ctx, "a")
	if errors.Is(err, checkpoint.ErrNone) {
		return 0, 0, s.Rewind(ctx, "a", 0, func(*schemas.Entry) error { return nil })
	}
	if err != nil {
		return 0, 0, err
	}
	n = r.Txns
	if d := checkpointtest.Same(r, checkpointtest.Record(n, seqOf(n))); d != "" {
		return 0, 0, fmt.Errorf("record %d is wrong: %s", n, d)
	}
	err = s.Rewind(ctx, "a", r.SchemaSeq, func(e *schemas.Entry) error {
		seq++
		if want := checkpointtest.Entry(seq, int(seq%40)); e.Seq != seq || len(e.Table.Columns) != len(want.Table.Columns) || e.GTID != want.GTID {
			return fmt.Errorf("entry %d is wrong", seq)
		}
		return nil
	})
	if err == nil && seq != r.SchemaSeq {
		err = fmt.Errorf("%d entries, %d needed", seq, r.SchemaSeq)
	}
	return n, seq, err
}

func childOpen(dir string) error {
	s, err := Open(context.Background(), dir, Options{})
	if err != nil {
		return err
	}
	fmt.Println("open", os.Getpid())
	var b [1]byte
	_, err = os.Stdin.Read(b[:])
	_ = s
	return err
}

func number(line, word string) (uint64, bool) {
	rest, ok := strings.CutPrefix(line, word+" ")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(rest, 10, 64)
	return n, err == nil
}
