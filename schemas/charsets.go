package schemas

import (
	"cdc/gtid"
	"cdc/schemas/charset"
)

// charsets completes the names of character sets and collations that a statement writes, by the session it ran in.
type charsets struct {
	flavor  gtid.Flavor
	version uint32
	st      *Statement // nil where there is no session
}

// pairing is a character set and one of its collations; both are empty where they are not known.
type pairing struct{ charset, collation string }

// byDefault gives a character set with its default collation.
func (r *charsets) byDefault(cs string) pairing {
	cs = charset.Normalize(cs)
	own, _ := charset.DefaultCollation(r.flavor, r.version, cs)
	if r.st == nil {
		return pairing{cs, own}
	}
	if r.flavor == gtid.MariaDB {
		own = r.compiled(cs).collation // what else holds in the session, the event says
	}
	if r.flavor == gtid.MySQL && cs == "utf8mb4" && r.st.DefaultUTF8MB4 != 0 {
		if c, ok := charset.CollationByID(r.flavor, r.st.DefaultUTF8MB4); ok {
			own = c.Name
		}
	}
	for _, p := range r.st.CharsetCollations {
		if c, ok := charset.CollationByID(r.flavor, p[0]); ok && c.Charset == cs {
			if c, ok := charset.CollationByID(r.flavor, p[1]); ok {
				own = c.Name
			}
		}
	}
	return pairing{cs, own}
}

// compiled gives a character set with the default collation that is built into MariaDB, whatever its variables say.
func (r *charsets) compiled(cs string) pairing {
	own, _ := charset.DefaultCollation(r.flavor, min(r.version, 110000), cs)
	return pairing{charset.Normalize(cs), own}
}

// pair completes what was written, either part of which may be empty; MariaDB's short collations fit the character set around. A name that is
// not known gives an empty pair, so that no value is read by a wrong one.
func (r *charsets) pair(cs, coll string, around pairing) pairing {
	if coll == "" {
		return r.byDefault(cs)
	}
	if c, ok := charset.CollationByName(r.flavor, coll); ok {
		return pairing{c.Charset, c.Name}
	}
	if cs == "" {
		cs = around.charset
	}
	c, _ := charset.CollationFor(r.flavor, cs, coll)
	return pairing{c.Charset, c.Name}
}

// byID gives a collation by its number, empty for 0.
func (r *charsets) byID(id uint16) pairing {
	c, _ := charset.CollationByID(r.flavor, id)
	return pairing{c.Charset, c.Name}
}

// binary gives the collation that the attribute BINARY of a text type stands for.
func (p pairing) binary() pairing {
	if p.charset == "" || p.charset == "binary" {
		return p
	}
	return pairing{p.charset, p.charset + "_bin"}
}

// maxBytes gives the bytes of a character set's longest character, 1 for an unknown one.
func maxBytes(cs string) uint32 { return uint32(max(charset.MaxBytes(cs), 1)) }
