package charset

import (
	"slices"
	"strings"
)

// info is what is to be known of a character set beside its codes.
type info struct {
	name      string
	collation string // name of the default collation without the character set's, empty for binary; utf8mb4 has another one on MySQL 8
	maxBytes  uint8
	uca1400   bool // MariaDB 11.5 and later default to uca1400_ai_ci
}

// charsets are those of all supported servers, by name. gb18030 is MySQL's only.
var charsets = [...]info{
	{"armscii8", "general_ci", 1, false},
	{"ascii", "general_ci", 1, false},
	{"big5", "chinese_ci", 2, false},
	{"binary", "", 1, false},
	{"cp1250", "general_ci", 1, false},
	{"cp1251", "general_ci", 1, false},
	{"cp1256", "general_ci", 1, false},
	{"cp1257", "general_ci", 1, false},
	{"cp850", "general_ci", 1, false},
	{"cp852", "general_ci", 1, false},
	{"cp866", "general_ci", 1, false},
	{"cp932", "japanese_ci", 2, false},
	{"dec8", "swedish_ci", 1, false},
	{"eucjpms", "japanese_ci", 3, false},
	{"euckr", "korean_ci", 2, false},
	{"gb18030", "chinese_ci", 4, false},
	{"gb2312", "chinese_ci", 2, false},
	{"gbk", "chinese_ci", 2, false},
	{"geostd8", "general_ci", 1, false},
	{"greek", "general_ci", 1, false},
	{"hebrew", "general_ci", 1, false},
	{"hp8", "english_ci", 1, false},
	{"keybcs2", "general_ci", 1, false},
	{"koi8r", "general_ci", 1, false},
	{"koi8u", "general_ci", 1, false},
	{"latin1", "swedish_ci", 1, false},
	{"latin2", "general_ci", 1, false},
	{"latin5", "turkish_ci", 1, false},
	{"latin7", "general_ci", 1, false},
	{"macce", "general_ci", 1, false},
	{"macroman", "general_ci", 1, false},
	{"sjis", "japanese_ci", 2, false},
	{"swe7", "swedish_ci", 1, false},
	{"tis620", "thai_ci", 1, false},
	{"ucs2", "general_ci", 2, true},
	{"ujis", "japanese_ci", 3, false},
	{"utf16", "general_ci", 4, true},
	{"utf16le", "general_ci", 4, false},
	{"utf32", "general_ci", 4, true},
	{"utf8mb3", "general_ci", 3, true},
	{"utf8mb4", "general_ci", 4, true},
}

func find(name string) *info {
	i, ok := slices.BinarySearchFunc(charsets[:], name, func(c info, name string) int { return strings.Compare(c.name, name) })
	if !ok {
		return nil
	}
	return &charsets[i]
}

// Names gives the names of all character sets.
func Names() []string {
	names := make([]string, len(charsets))
	for i := range charsets {
		names[i] = charsets[i].name
	}
	return names
}
