package verify

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"strconv"

	"cdc/fault"
)

// side are the tables to read: at the source all that come to the one of the target.
func (p *plan) side(target bool) []*plan {
	if target {
		return []*plan{p}
	}
	return p.shards()
}

// sum finds the number of rows and the digest of a chunk: those that the server gives or, where rows have to go through the transforms, of what they become.
func (p *plan) sum(ctx context.Context, c Conn, ch *chunk, target bool) error {
	ch.rows, ch.filtered, ch.digest = 0, 0, ""
	for _, q := range p.side(target) {
		ask := q.sumThere
		if p.own() {
			ask = q.sumHere
		}
		rows, d, err := ask(ctx, c, ch, target)
		if err != nil {
			return err
		}
		if rows == 0 {
			continue // of no rows the servers say different things
		}
		if ch.rows += rows; ch.digest != "" {
			if d, err = p.join(ch.digest, d); err != nil {
				return err
			}
		}
		ch.digest = d
	}
	return nil
}

// sumThere asks the server.
func (p *plan) sumThere(ctx context.Context, c Conn, ch *chunk, target bool) (rows uint64, d string, err error) {
	row, err := one(ctx, c, p.sumQuery(ch, target))
	if err != nil {
		return 0, "", err
	}
	if rows, err = strconv.ParseUint(string(row[0]), 10, 64); err != nil {
		return 0, "", fault.New(fault.VerifyServer, "count of rows: %w", err)
	}
	return rows, string(row[1]), nil
}

// join makes the digest of two chunks of that of each.
func (p *plan) join(a, b string) (string, error) {
	switch {
	case len(p.key) == 0:
		x, ok1 := new(big.Int).SetString(a, 10)
		y, ok2 := new(big.Int).SetString(b, 10)
		if ok1 && ok2 {
			return x.Add(x, y).String(), nil
		}
	case p.wide || p.own():
		x, err1 := hex.DecodeString(a)
		y, err2 := hex.DecodeString(b)
		if err1 == nil && err2 == nil && len(x) == len(y) {
			for i := range x {
				x[i] ^= y[i]
			}
			return hex.EncodeToString(x), nil
		}
	default:
		x, err1 := strconv.ParseUint(a, 10, 64)
		y, err2 := strconv.ParseUint(b, 10, 64)
		if err1 == nil && err2 == nil {
			return strconv.FormatUint(x^y, 10), nil
		}
	}
	return "", fault.New(fault.VerifyServer, "%q and %q are no digests", a, b)
}

// sumHere reads the rows. Those of a table without a key are added up, since two equal ones would be as none in an XOR.
func (p *plan) sumHere(ctx context.Context, c Conn, ch *chunk, target bool) (rows uint64, d string, err error) {
	var bits digest
	total := new(big.Int)
	err = p.read(ctx, c, ch, target, func(_ bound, d digest, passes bool) error {
		switch {
		case !passes:
			ch.filtered++
			return nil
		case len(p.key) == 0:
			total.Add(total, new(big.Int).SetUint64(binary.BigEndian.Uint64(d[:])))
		}
		for i := range bits {
			bits[i] ^= d[i]
		}
		rows++
		return nil
	})
	if len(p.key) == 0 {
		return rows, total.String(), err
	}
	return rows, hex.EncodeToString(bits[:]), err
}

// read reads the rows of a chunk of one table: the key, which is valid until yield returns, and the digest of the row. A row that the stream would not carry
// does not pass, and has no digest.
func (p *plan) read(ctx context.Context, c Conn, ch *chunk, target bool, yield func(key bound, d digest, passes bool) error) error {
	n := len(p.key)
	docs := 0
	for i := range p.columns {
		if p.columns[i].loose {
			docs++
		}
	}
	at := n + 1 + docs
	return c.Stream(ctx, p.rowsQuery(ch, target), func(row [][]byte) error {
		values, passes, err := p.making(row[at:], target)
		if err != nil || !passes {
			if err == nil {
				err = yield(row[:n], digest{}, false)
			}
			return err
		}
		return yield(row[:n], p.fold(row[n:at], values), true)
	})
}

// fold makes one digest of what the server made of a row, of the documents that it printed, and of the values that the stream makes.
func (p *plan) fold(parts, values [][]byte) digest {
	if len(parts) == 1 && len(values) == 0 {
		return parseDigest(parts[0])
	}
	h := sha256.New()
	h.Write(parts[0])
	for _, d := range parts[1:] {
		one := documentDigest(d)
		h.Write(one[:])
	}
	for i := range p.columns {
		if c := &p.columns[i]; c.made {
			one := c.digest(values[0])
			h.Write(one[:])
			values = values[1:]
		}
	}
	return digest(h.Sum(nil))
}

// hidden stands for a row that the stream would not carry as it is now: the target may have it as it was before, or not at all.
var hidden = []digest{}

func isHidden(d []digest) bool { return d != nil && len(d) == 0 }

// look reads the rows of suspects: of each column a digest.
func (p *plan) look(ctx context.Context, c Conn, suspects []*suspect, target bool) (map[string][]digest, error) {
	out := map[string][]digest{}
	byID := map[string]*suspect{}
	for _, s := range suspects {
		byID[s.key.id()] = s
		if !target {
			s.clash = false
		}
	}
	for len(suspects) > 0 {
		k := min(len(suspects), looksAtOnce)
		keys := make([]bound, k)
		for i, s := range suspects[:k] {
			keys[i] = s.key
		}
		suspects = suspects[k:]
		for _, q := range p.side(target) {
			if err := q.lookAt(ctx, c, keys, target, out, byID); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// lookAt is look at one table.
func (p *plan) lookAt(ctx context.Context, c Conn, keys []bound, target bool, out map[string][]digest, suspects map[string]*suspect) error {
	n := len(p.key)
	at := n + len(p.columns)
	for i := range p.columns {
		if p.columns[i].made {
			at--
		}
	}
	return c.Stream(ctx, p.looksQuery(keys, target), func(row [][]byte) error {
		id := bound(row[:n]).id()
		values, passes, err := p.making(row[at:], target)
		if err != nil {
			return err
		}
		before, twice := out[id]
		if !passes {
			if !twice {
				out[id] = hidden
			}
			return nil
		}
		ds := make([]digest, len(p.columns))
		served := row[n:at]
		for i := range p.columns {
			c := &p.columns[i]
			switch {
			case c.made:
				ds[i], values = c.digest(values[0]), values[1:]
				continue
			case c.loose:
				ds[i] = documentDigest(served[0])
			default:
				ds[i] = parseDigest(served[0])
			}
			served = served[1:]
		}
		s := suspects[id]
		if twice && !isHidden(before) && !target && s != nil {
			s.clash = true
			for i := range ds {
				ds[i] = sha256.Sum256(append(before[i][:], ds[i][:]...)) // equal to nothing at the target
			}
		} else if s != nil && !target {
			s.from = p
		}
		out[id] = ds
		return nil
	})
}
