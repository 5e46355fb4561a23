package schemas

import (
	"strings"
	"testing"

	"cdc/gtid"
)

func TestLexer(t *testing.T) {
	for _, c := range []struct {
		mode    uint64
		flavor  gtid.Flavor
		version uint32
		text    string
		want    string // kind letter and text of each token
	}{
		{0, 0, 80036, "a `b``c` 'd''e' \"f\"\"g\"", "w a|q b`c|s d'ef\"g"},
		{modeANSIQuotes, 0, 80036, `"a""b" 'c"d'`, `q a"b|s c"d`},
		{0, 0, 80036, `'a\'b\n\%\_\\' "x\"y"`, "s a'b\n\\%\\_\\x\"y"},
		{modeNoBackslashEscapes, 0, 80036, `'a\' 'b'`, `s a\b`},
		{0, 0, 80036, "'a' /* c */ 'b' -- d\n \"c\"", "s abc"},
		{0, 0, 80036, "_utf8mb4'x' N'y' n'z' _latin1 'q' _latin1 x'41' _x", "s x|s y|s z|s q|x A|w _x"},
		{0, 0, 80036, "X'4142' x'4' 0x4142 0xG b'101' 0b1 0b2", "x AB|x \x04|x AB|w 0xG|b \x05|b \x01|w 0b2"},
		{0, 0, 80036, "1 1.5 .5 1e5 1.5e-3 1e+3 2b 1e 3e5x 4. 5.e2", "n 1|n 1.5|n .5|n 1e5|n 1.5e-3|n 1e+3|w 2b|w 1e|w 3e5x|n 4.|n 5.e2"},
		{0, 0, 80036, "a-- b\n c--1 --\td\ne", "w a|w c|p -|p -|n 1|w e"},
		{0, 0, 80036, "a # b ' \n c", "w a|w c"},
		{0, 0, 80036, "a /* ' */ b /*+ hint */ c", "w a|w b|w c"},
		{0, 0, 80036, "/*! a */ /*!80036 b *//*!80037 c */ /*!080036 d */ /*!1 e */", "w a|w b|w d|n 1|w e"},
		{0, 0, 50722, "/*!50722 a */ /*!50723 b */ /*!507220 */", "w a|n 0"},
		{0, 0, 80036, "/*!99999 a /* b */ c */ d", "w d"},
		{0, 0, 80036, "/*!50000 a /* b */ c */ d", "w a|w c|w d"},
		{0, 0, 80036, "/*M! a */ /*M!100100 b */ c", "w c"},
		{0, gtid.MariaDB, 101106, "/*M! a */ /*M!100100 b */ /*M!110000 c */ /*!50699 d *//*!50700 e */ /*!99999 f */ /*!100000 g */ /*M!50701 h */", "w a|w b|w d|w g|w h"},
		{0, 0, 80036, "表 ä.b @x", "w 表|w ä|p .|w b|p @|w x"},
		{0, 0, 80036, "a 'b", "w a!"},
		{0, 0, 80036, "a /* b", "w a!"},
		{0, 0, 80036, "a `b", "w a!"},
		{0, 0, 80036, "a 'b\\", "w a!"},
	} {
		l := lexer{src: c.text, mode: c.mode, flavor: c.flavor, version: c.version}
		var got []string
		for {
			tok := l.next()
			if tok.kind == tokEOF || l.broken {
				break
			}
			got = append(got, string("-wqsnxbp"[tok.kind])+" "+tok.text)
		}
		text := strings.Join(got, "|")
		if l.broken {
			text += "!"
		}
		if text != c.want {
			t.Errorf("%s\n got %q\nwant %q", c.text, text, c.want)
		}
	}
}
