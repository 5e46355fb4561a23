package files

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"cdc/fault"
)

// chainDir holds the links of the chain, each a file named by its number.
const chainDir = workDir + "/chain"

const linkMagic = "cdc-chain 1"

// link is the state of the sink after one step: a process took the place over, a publication was decided on, or was finished. Each is a whole, so that the last
// one is all that is needed.
type link struct {
	Number uint64 `json:"number"`
	Owner  string `json:"owner"` // of the process that added it, made up at its start
	Host   string `json:"host,omitempty"`
	PID    int    `json:"pid,omitempty"`
	Place  string `json:"place,omitempty"`  // text of the place file
	Intent string `json:"intent,omitempty"` // text of the intent, while there is one
}

// chain orders all decisions of all processes that ever write to a place, where there is no lock: the next decision is a file whose name is the next
// number, made without replacing. Of two processes one gets it, and the other knows from then on that it is not alone.
//
//	A: reads 7 ─ adds 8 (decided) ─ stands still ...................... ─ adds 9: taken, A stops
//	B:                              reads 8 ─ adds 9 (took over) ─ publishes what 8 says ─ adds 10 ...
//
// Links before the last are removed, so a number may be free again. A process that stood still for long could then add one far behind the end. So whoever
// has added a link looks for higher ones: removals stay behind the end, hence there is one. That link is nobody's decision, since every reader takes the highest.
type chain struct {
	at    Remote
	owner string
	last  link
}

// randomName gives 12 characters that nobody else has.
func randomName() string { return strings.ToLower(rand.Text()[:12]) }

func linkName(n uint64) string { return fmt.Sprintf("%s/%016d", chainDir, n) }

// claims is how often claim begins anew where others add links meanwhile: each of them is one that took the place over too.
const claims = 10

// look reads the last link, and takes nothing over. It gives the numbers of all links.
func (c *chain) look(ctx context.Context) ([]uint64, error) {
	for try := 1; ; try++ {
		numbers, err := c.numbers(ctx)
		if err != nil {
			return nil, err
		}
		c.last = link{}
		n := len(numbers)
		if n == 0 {
			return nil, nil
		}
		last, err := c.read(ctx, numbers[n-1])
		if errors.Is(err, fs.ErrNotExist) && try < claims {
			continue // removed since: there is a higher one
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", linkName(numbers[n-1]), err)
		}
		c.last = last
		return numbers, nil
	}
}

// claim adds a link with the same state and a new owner. From then on no other process can add one. Where the state is not any more what look saw,
// nothing is claimed: the stream of this process would begin at a place that another has passed.
func (c *chain) claim(ctx context.Context) error {
	seen := c.last.decided()
	for try := 1; ; try++ {
		numbers, err := c.look(ctx)
		if err != nil {
			return err
		}
		if c.last.decided() != seen {
			return fault.New(fault.SinkMoved, "process %d on %q has published since this one looked at the place", c.last.PID, c.last.Host)
		}
		err = c.add(ctx, link{Place: c.last.Place, Intent: c.last.Intent})
		if errors.Is(err, ErrLocked) && try < claims {
			continue
		}
		if err != nil {
			return err
		}
		for _, n := range numbers { // what add leaves where a process ended early
			if err := c.at.Remove(ctx, linkName(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove %s: %w", linkName(n), err)
			}
		}
		return nil
	}
}

// decided is the text of the last publication that was decided on, finished or not.
func (l *link) decided() string { return cmp.Or(l.Intent, l.Place) }

// numbers gives those of the links that are there, the highest last.
func (c *chain) numbers(ctx context.Context) ([]uint64, error) {
	names, err := c.at.List(ctx, chainDir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", chainDir, err)
	}
	var all []uint64
	for _, name := range names {
		n, err := strconv.ParseUint(name, 10, 64)
		if err != nil || len(name) != 16 {
			continue // a temporary name of the store
		}
		all = append(all, n)
	}
	slices.Sort(all)
	return all, nil
}

// add makes l the state. ErrLocked means that another process has taken the place over: what l says was not decided, or, where the other came a moment later
// and has seen it, is in its hands. After any error nothing more may be added.
func (c *chain) add(ctx context.Context, l link) error {
	l.Number, l.Owner, l.PID = c.last.Number+1, c.owner, os.Getpid()
	l.Host, _ = os.Hostname() // for people; without one it is as good
	body, err := l.encode()
	if err != nil {
		return err
	}
	name := linkName(l.Number)
	switch err := c.at.PutNew(ctx, name, body); {
	case errors.Is(err, fs.ErrExist):
		got, err := readFile(ctx, c.at, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if !bytes.Equal(got, body) { // the same bytes: ours, from a request that was sent twice
			return c.lost(got)
		}
	case err != nil:
		return fmt.Errorf("write %s: %w", name, err)
	}
	before := c.last.Number
	c.last = l
	if err := c.confirm(ctx); err != nil {
		return err
	}
	if before > 0 {
		_ = c.at.Remove(ctx, linkName(before)) // the next start removes what is left
	}
	return nil
}

// confirm reports by ErrLocked that the last link is not the one that was added here: it lies before the end, where whoever reads the chain has not seen it, or has
// taken it along.
func (c *chain) confirm(ctx context.Context) error {
	numbers, err := c.numbers(ctx)
	if err != nil {
		return err
	}
	if n := len(numbers); n == 0 || numbers[n-1] != c.last.Number {
		return c.lost(nil)
	}
	return nil
}

// lost says who has taken the place over.
func (c *chain) lost(text []byte) error {
	if other, err := decodeLink(text); err == nil {
		return fmt.Errorf("%w: process %d on %q, which began later", ErrLocked, other.PID, other.Host)
	}
	return fmt.Errorf("%w, which began later", ErrLocked)
}

func (c *chain) read(ctx context.Context, n uint64) (link, error) {
	text, err := readFile(ctx, c.at, linkName(n))
	if err != nil {
		return link{}, err
	}
	l, err := decodeLink(text)
	if err == nil && l.Number != n {
		err = fmt.Errorf("%w: its number is %d", errRecord, l.Number)
	}
	return l, err
}

func (l *link) encode() ([]byte, error) {
	body, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encode a link of the chain: %w", err)
	}
	body = append(body, '\n')
	return append(fmt.Appendf(nil, "%s %d %08x\n", linkMagic, len(body), crc32.Checksum(body, castagnoli)), body...), nil
}

func decodeLink(text []byte) (link, error) {
	var l link
	body, err := unseal(linkMagic, text)
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(body, &l); err != nil {
		return l, fmt.Errorf("%w: %w", errRecord, err)
	}
	return l, nil
}
