package peers

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// Script reads the statements of a file of SQL: each ends with a semicolon at the end of a line; lines that begin with -- are comments.
func Script(file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []string
	var b strings.Builder
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "--") {
			continue
		}
		b.WriteString(line)
		if text, ok := strings.CutSuffix(b.String(), ";"); ok {
			out = append(out, text)
			b.Reset()
			continue
		}
		b.WriteByte('\n')
	}
	if b.Len() > 0 {
		return nil, fmt.Errorf("%s ends inside a statement: %.100s", file, b.String())
	}
	return out, lines.Err()
}
