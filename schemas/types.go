package schemas

import (
	"strconv"
	"strings"

	"cdc/gtid"
)

// colSpec is a column while a statement is being interpreted: the definition as it is written, then, after settle, complete.
type colSpec struct {
	Column
	old int // ordinal in the table before the statement, -1 for a new one

	// What the type's spelling leaves open until the character set is known.
	charset, collation string
	binary             bool   // attribute BINARY: the binary collation of whatever character set it is
	sized              uint32 // TEXT(n) and BLOB(n), or a VARCHAR: n characters
	hasSize            bool
	national           bool

	null      nullness
	defaulted bool // DEFAULT of any kind, or ON UPDATE
	primary   bool
	unique    bool
	reference bool // REFERENCES of its own
	versioned bool // WITH SYSTEM VERSIONING
	rowStart  bool // GENERATED ALWAYS AS ROW START or ROW END
	rowEnd    bool

	// ALTER TABLE
	change      string // the column that it takes the place of
	first       bool
	after       string
	ifNotExists bool // ADD
	ifExists    bool // CHANGE, MODIFY
}

type nullness uint8

const (
	nullUnsaid nullness = iota
	nullYes
	nullNo
)

// defaultWidth is the display width that a server gives an integer whose definition has none, signed and unsigned.
var defaultWidth = [...][2]uint8{TinyInt: {4, 3}, SmallInt: {6, 5}, MediumInt: {9, 8}, Int: {11, 10}, BigInt: {20, 20}}

// dataType reads a type with what belongs to it: lengths, signs, character set. It serves column definitions and the text of
// information_schema.COLUMN_TYPE alike. MySQL Reference Manual, "Data Types"; MariaDB documentation, "Data Types".
func (p *parser) dataType(c *colSpec) {
	if p.tok.kind != tokWord {
		p.fail("a type expected")
		return
	}
	word := strings.ToUpper(p.tok.text)
	switch word {
	case "NATIONAL", "NCHAR", "NVARCHAR", "CHAR", "CHARACTER", "VARCHAR", "VARCHARACTER", "LONG":
		p.charType(c)
		return
	}
	p.advance()
	if p.oracle() && p.oracleType(c, word) {
		return
	}
	switch word {
	case "TINYINT", "INT1":
		p.integer(c, TinyInt)
	case "SMALLINT", "INT2":
		p.integer(c, SmallInt)
	case "MEDIUMINT", "INT3", "MIDDLEINT":
		p.integer(c, MediumInt)
	case "INT", "INTEGER", "INT4":
		p.integer(c, Int)
	case "BIGINT", "INT8":
		p.integer(c, BigInt)
	case "BOOL", "BOOLEAN":
		c.Type, c.Width = TinyInt, 1
	case "SERIAL":
		c.Type, c.Unsigned, c.Auto, c.unique, c.null = BigInt, true, true, true, nullNo
		p.width(c)
	case "DECIMAL", "DEC", "NUMERIC", "FIXED":
		p.decimal(c)
	case "FLOAT", "FLOAT4":
		p.float(c, Float)
	case "DOUBLE", "FLOAT8":
		p.accept("PRECISION")
		p.float(c, Double)
	case "REAL":
		if p.mode&modeRealAsFloat != 0 {
			p.float(c, Float)
		} else {
			p.float(c, Double)
		}
	case "BIT":
		c.Type = Bit
		c.Length, _ = p.length(1)
	case "YEAR":
		c.Type = Year
		p.length(4)
		p.signs(c)
	case "DATE":
		c.Type = Date
	case "TIME":
		p.fractional(c, Time)
	case "DATETIME":
		p.fractional(c, DateTime)
	case "TIMESTAMP":
		if p.mode&modeMaxDB != 0 && (p.maria() || p.version < 80000) {
			p.fractional(c, DateTime)
		} else {
			p.fractional(c, Timestamp)
		}
	case "BINARY":
		c.Type = Binary
		c.Length, _ = p.length(1)
	case "VARBINARY":
		c.Type = VarBinary
		p.varSize(c)
		p.compressed()
	case "TINYBLOB":
		c.Type = TinyBlob
		p.compressed()
	case "BLOB":
		c.Type = Blob
		p.varSize(c)
		p.compressed()
	case "MEDIUMBLOB":
		c.Type = MediumBlob
		p.compressed()
	case "LONGBLOB":
		c.Type = LongBlob
		p.compressed()
	case "TINYTEXT":
		p.textType(c, TinyText)
	case "TEXT":
		c.Type = Text
		p.varSize(c)
		p.textType(c, Text)
	case "MEDIUMTEXT":
		p.textType(c, MediumText)
	case "LONGTEXT":
		p.textType(c, LongText)
	case "ENUM":
		p.members(c, Enum)
	case "SET":
		p.members(c, Set)
	case "JSON":
		if p.maria() {
			c.Type = LongText
			c.charset, c.collation = "utf8mb4", "utf8mb4_bin"
			p.compressed()
		} else {
			c.Type = JSON
		}
	case "GEOMETRY", "POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION", "GEOMCOLLECTION":
		c.Type = Geometry
		for i, g := range geometryNames {
			if strings.EqualFold(g, word) || i == 7 && word == "GEOMCOLLECTION" {
				c.Geometry = GeometryKind(i)
			}
		}
		if p.isPunct('(') { // POINT(n) of MariaDB
			p.parens()
		}
	case "VECTOR":
		c.Type = Vector
		c.Length, _ = p.length(2048)
	case "UUID":
		c.Type = UUID
	case "INET6":
		c.Type = INET6
	case "INET4":
		c.Type = INET4
	default:
		p.fail("the type %s is not known", word)
	}
}

func (p *parser) oracle() bool { return p.maria() && p.mode&modeOracle != 0 }

// oracleType reads the types that sql_mode=ORACLE of MariaDB gives another meaning or adds. MariaDB documentation, "sql_mode=ORACLE".
func (p *parser) oracleType(c *colSpec, word string) bool {
	switch word {
	case "DATE":
		c.Type = DateTime
	case "BLOB":
		c.Type = LongBlob
		p.varSize(c)
		if c.hasSize {
			c.Type = Blob
		}
		p.compressed()
	case "CLOB":
		p.textType(c, LongText)
	case "RAW":
		c.Type = VarBinary
		p.varSize(c)
	case "NUMBER":
		if p.isPunct('(') {
			p.decimal(c)
		} else {
			p.float(c, Double)
		}
	case "VARCHAR2":
		c.Type = VarChar
		p.varSize(c)
		p.charAttributes(c)
	default:
		return false
	}
	return true
}

// length reads an optional (n).
func (p *parser) length(unsaid uint32) (uint32, bool) {
	if !p.isPunct('(') {
		return unsaid, false
	}
	p.advance()
	if p.punct(')') { // YEAR()
		return unsaid, false
	}
	n := p.uint()
	p.expectPunct(')')
	return n, true
}

// varSize reads the length of a type whose final type depends on it.
func (p *parser) varSize(c *colSpec) {
	c.sized, c.hasSize = p.length(0)
}

// signs reads UNSIGNED, SIGNED and ZEROFILL, of which the last implies the first.
func (p *parser) signs(c *colSpec) {
	for {
		switch {
		case p.accept("UNSIGNED"):
			c.Unsigned = c.Type != Year
		case p.accept("SIGNED"):
		case p.accept("ZEROFILL"):
			c.Unsigned, c.Zerofill = c.Type != Year, c.Type != Year
		default:
			return
		}
	}
}

func (p *parser) integer(c *colSpec, t Type) {
	c.Type = t
	n, _ := p.length(0)
	c.Width = uint8(min(n, 255))
	p.signs(c)
	p.width(c)
}

// width settles the display width: older servers give each integer one; from MySQL 8.0.19 on it is only kept for TINYINT(1) and ZEROFILL.
func (p *parser) width(c *colSpec) {
	kept := c.Zerofill || c.Type == TinyInt && c.Width == 1 && !c.Unsigned
	switch {
	case p.mysql(80019) && !kept:
		c.Width = 0
	case c.Width == 0 && c.Unsigned:
		c.Width = defaultWidth[c.Type][1]
	case c.Width == 0:
		c.Width = defaultWidth[c.Type][0]
	}
}

func (p *parser) decimal(c *colSpec) {
	c.Type, c.Precision = Decimal, 10
	m, d, n := p.numbers()
	if n > 0 && m > 0 {
		c.Precision = uint8(min(m, 255))
	}
	c.Scale = uint8(min(d, 255))
	p.signs(c)
}

func (p *parser) float(c *colSpec, t Type) {
	c.Type = t
	m, d, n := p.numbers()
	switch n {
	case 1: // FLOAT(p): p is bits
		if m > 24 {
			c.Type = Double
		}
	case 2:
		c.Precision, c.Scale = uint8(min(m, 255)), uint8(min(d, 255))
	}
	p.signs(c)
}

// numbers reads an optional (m) or (m,d), and says how many numbers there were.
func (p *parser) numbers() (m, d uint32, n int) {
	if !p.punct('(') {
		return 0, 0, 0
	}

	m, n = p.uint(), 1
	if p.punct(',') {
		d, n = p.uint(), 2
	}
	p.expectPunct(')')
	return m, d, n
}

func (p *parser) fractional(c *colSpec, t Type) {
	c.Type = t
	n, _ := p.length(0)
	if n > 6 {
		p.fail("%d digits of a second", n)
	}
	c.Fsp = uint8(n)
}

// compressed passes MariaDB's COMPRESSED[=zlib]: it shows in the binlog's own types, and nowhere in the values.
func (p *parser) compressed() {
	if p.maria() && p.accept("COMPRESSED") {
		if p.punct('=') {
			p.advance()
		}
	}
}

// charType reads the many spellings of CHAR, VARCHAR, and LONG.
func (p *parser) charType(c *colSpec) {
	if p.accept("LONG") {
		switch {
		case p.acceptAny("VARBINARY"):
			c.Type = MediumBlob
			return
		case p.accept("CHAR", "VARYING"), p.accept("CHARACTER", "VARYING"), p.accept("VARCHAR"), p.accept("VARCHARACTER"):
		}
		p.textType(c, MediumText)
		return
	}
	c.Type = Char
	switch {
	case p.accept("NATIONAL"):
		c.national = true
		if p.acceptAny("VARCHAR", "VARCHARACTER") {
			c.Type = VarChar
		} else if !p.acceptAny("CHAR", "CHARACTER") {
			p.fail("CHAR or VARCHAR expected")
		}
	case p.accept("NCHAR"):
		c.national = true
		if p.acceptAny("VARCHAR", "VARCHARACTER") {
			c.Type = VarChar
		}
	case p.accept("NVARCHAR"):
		c.national = true
		c.Type = VarChar
	case p.acceptAny("VARCHAR", "VARCHARACTER"):
		c.Type = VarChar
	default:
		p.advance()
	}
	if c.Type == Char && p.accept("VARYING") {
		c.Type = VarChar
	}
	if c.Type == Char {
		c.Length, _ = p.length(1)
	} else {
		p.varSize(c)
		p.compressed()
	}
	if c.national {
		c.charset = "utf8mb3"
	}
	p.charAttributes(c)
}

func (p *parser) textType(c *colSpec, t Type) {
	c.Type = t
	p.compressed()
	p.charAttributes(c)
}

// charAttributes reads the character set of a text type, which stands directly behind it.
func (p *parser) charAttributes(c *colSpec) {
	for p.charAttribute(c) {
	}
	p.compressed()
}

// charAttribute reads one of CHARACTER SET, BYTE, ASCII, UNICODE and BINARY, and says whether one was there.
func (p *parser) charAttribute(c *colSpec) bool {
	switch {
	case p.accept("CHARACTER", "SET"), p.accept("CHAR", "SET"), p.accept("CHARSET"):
		c.charset = p.charsetName()
	case p.accept("BYTE"):
		c.charset = "binary"
	case p.accept("ASCII"):
		c.charset = "latin1"
	case p.accept("UNICODE"):
		c.charset = "ucs2"
	case p.accept("BINARY"):
		c.binary = true
	default:
		return false
	}
	return true
}

// charsetName reads the name of a character set or collation: a word or a string. DEFAULT comes back in upper case.
func (p *parser) charsetName() string {
	switch p.tok.kind {
	case tokWord:
		if p.is("DEFAULT") {
			p.advance()
			return "DEFAULT"
		}
		return p.utf8(p.advance().text)
	case tokString, tokQuoted:
		return p.utf8(p.advance().text)
	default:
		p.fail("a character set expected")
		return ""
	}
}

// utf8 gives utf8mb4 for utf8 where sql_mode says so (MySQL 9).
func (p *parser) utf8(name string) string {
	if p.mode&modeUTF8MB4 != 0 && p.mysql(90000) && len(name) >= 4 && strings.EqualFold(name[:4], "utf8") && (len(name) == 4 || name[4] == '_') {
		return "utf8mb4" + name[4:]
	}
	return name
}

// members reads the values of ENUM and SET. Trailing spaces are not part of them.
func (p *parser) members(c *colSpec, t Type) {
	c.Type = t
	p.expectPunct('(')
	for {
		if p.tok.kind == tokHex || p.tok.kind == tokBit {
			// Bytes in the column's character set, which is settled later: what is not ASCII cannot be told yet.
			if !all(p.tok.text, func(b byte) bool { return b < 0x80 }) {
				p.doubt("a member that is given by its bytes")
			}
		}
		c.Members = append(c.Members, strings.TrimRight(p.text(), " "))
		if !p.punct(',') {
			break
		}
	}
	p.expectPunct(')')
	p.charAttributes(c)
}

// settle completes a column once the character set of its table is known.
func (c *colSpec) settle(r *charsets, table pairing) string {
	if c.hasSize && c.sized == 0 && (c.Type == Text || c.Type == Blob) && (r.flavor == gtid.MariaDB || r.version < 80000) {
		c.hasSize = false // TEXT(0) is TEXT; to MySQL 8 it is TINYTEXT
	}
	if !c.Type.IsText() {
		if c.Type == VarBinary || c.Type == Blob && c.hasSize {
			c.settleSize(1)
		}
		c.Charset, c.Collation = "", ""
		return ""
	}
	pair := table
	switch {
	case c.charset == "DEFAULT":
		pair = r.pair("", c.collation, table)
	case c.charset != "" || c.collation != "":
		pair = r.pair(c.charset, c.collation, table)
		if pair.charset == "" {
			return "the character set " + strings.TrimSpace(c.charset+" "+c.collation) + " is not known"
		}
	}
	if c.binary && c.collation == "" {
		pair = pair.binary()
	}
	if pair.charset == "binary" && c.Type != Enum && c.Type != Set {
		c.toBinary()
		if c.Type == VarBinary || c.hasSize {
			c.settleSize(1)
		}
		return ""
	}
	c.Charset, c.Collation = pair.charset, pair.collation
	if c.Type == VarChar || c.Type == Text && c.hasSize {
		if pair.charset == "" && (c.Type == Text || c.sized > 65535/4) {
			return "the size of a column depends on the default character set of its database, which is not known"
		}
		c.settleSize(maxBytes(pair.charset))
	}
	return ""
}

// toBinary turns a text type with the character set binary into what it is.
func (c *colSpec) toBinary() {
	switch c.Type {
	case Char:
		c.Type = Binary
	case VarChar:
		c.Type = VarBinary
	case TinyText, Text, MediumText, LongText:
		c.Type += TinyBlob - TinyText
	}
	c.Charset, c.Collation = "", ""
}

// settleSize chooses the smallest of the TEXTs or BLOBs that holds what was asked for, also where a VARCHAR is too long to be one.
func (c *colSpec) settleSize(width uint32) {
	if !c.hasSize {
		return
	}
	bytes := uint64(c.sized) * uint64(max(width, 1))
	c.hasSize = false
	c.Length = 0
	first := TinyBlob
	if c.Type.IsText() {
		first = TinyText
	}
	switch {
	case c.Type == VarChar || c.Type == VarBinary:
		if bytes <= 65535 {
			c.Length = c.sized
			return
		}
		c.Type = first + lobSize(bytes)
	default:
		c.Type = first + lobSize(bytes)
	}
}

// lobSize gives which of the four TEXTs or BLOBs is the smallest for a number of bytes.
func lobSize(bytes uint64) Type {
	switch {
	case bytes <= 255:
		return 0
	case bytes <= 65535:
		return 1
	case bytes <= 1<<24-1:
		return 2
	default:
		return 3
	}
}

// decimalText gives an integer literal without leading zeros and plus.
func decimalText(s string) string {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return strconv.FormatInt(n, 10)
	}
	return s
}
