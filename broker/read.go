package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Passed tells batches whose records count from markers and from those of transactions that were aborted, as
// https://kafka.apache.org/protocol#The_Messages_Fetch has a reader of committed records do it: a transaction that is in the list of aborted ones lasts
// from its first offset to the next marker of its producer. The answer says of each batch whether it is to be passed over.
func Passed(batches []Stored, list []Aborted) ([]bool, error) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Aborted) int { return int(min(max(a.First-b.First, -1), 1)) })
	void := map[int64]bool{}
	out := make([]bool, len(batches))
	for i := range batches {
		b := &batches[i]
		if b.Magic != Magic {
			return nil, fmt.Errorf("records are stored in format %d, and not in that of Kafka 0.11 and later", b.Magic)
		}
		for len(list) > 0 && list[0].First <= b.Last {
			void[list[0].Producer] = true
			list = list[1:]
		}
		if b.Control {
			aborts, err := b.aborts()
			if err != nil {
				return nil, err
			}
			if aborts {
				delete(void, b.Producer)
			}
		}
		out[i] = b.Control || b.Transactional && void[b.Producer]
	}
	return out, nil
}

// aborts reports that the marker in a control batch ends a transaction that does not count.
func (s *Stored) aborts() (aborts bool, err error) {
	err = ErrRecord
	each := s.Each(1<<10, func(r *Record) error {
		if len(r.Key) >= 4 {
			aborts, err = binary.BigEndian.Uint16(r.Key[2:]) == 0, nil
		}
		return nil
	})
	return aborts, errors.Join(each, err)
}

// Record is one record. Nil is not empty.
type Record struct {
	Offset     int64
	Key, Value []byte
}

// Each calls f for each record of a batch, which takes at most so many bytes without compression. Keys and values are not changed by later calls.
func (s *Stored) Each(most int64, f func(*Record) error) error {
	in, done, err := s.Open()
	if err != nil {
		return err
	}
	if done != nil {
		defer done()
	}
	all, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return fmt.Errorf("read a record: %w", err)
	}
	if int64(len(all)) > most {
		return fmt.Errorf("a record batch has more than %d bytes", most)
	}
	c := varints{b: all}
	for range s.Count {
		r := varints{b: c.take(c.number())}
		r.take(1)  // attributes
		r.number() // delta of time
		rec := Record{Offset: s.First + r.number()}
		rec.Key = r.take(r.number())
		rec.Value = r.take(r.number())
		if c.bad || r.bad {
			return ErrRecord
		}
		if err := f(&rec); err != nil {
			return err
		}
	}
	return nil
}

// varints reads the parts of records. What is not there is nil, and bad.
type varints struct {
	b   []byte
	bad bool
}

func (c *varints) number() int64 {
	v, n := binary.Varint(c.b)
	if n <= 0 {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *varints) take(n int64) []byte {
	if n < 0 { // null
		return nil
	}
	if n > int64(len(c.b)) {
		c.bad, c.b = true, nil
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}
