package settings

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
)

// Secret is a password or key. It is never in the configuration itself: it is read from a file or an environment variable when it is needed.
type Secret struct {
	File string `yaml:"file" jsonschema_description:"Path of a file that holds the secret; one line break at its end is taken off."`
	Env  string `yaml:"env" jsonschema_description:"Name of the environment variable that holds the secret."`
}

// IsZero reports that none was given.
func (s Secret) IsZero() bool { return s.File == "" && s.Env == "" }

// Value reads the secret; an unset Secret is empty.
func (s Secret) Value() (string, error) {
	switch {
	case s.File != "" && s.Env != "":
		return "", errors.New("give file or env, not both")
	case s.File != "":
		b, err := os.ReadFile(s.File)
		if err != nil {
			return "", fmt.Errorf("read secret: %w", err)
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
	case s.Env != "":
		v, ok := os.LookupEnv(s.Env)
		if !ok {
			return "", fmt.Errorf("environment variable %s is not set", s.Env)
		}
		return v, nil
	}
	return "", nil
}

// String never shows the secret.
func (s Secret) String() string {
	switch {
	case s.File != "":
		return "file " + s.File
	case s.Env != "":
		return "environment variable " + s.Env
	}
	return "none"
}

// Size is a number of bytes, written as 256MiB, 10MB, 4096 or 64k (powers of 1024 but for MB and the like, which are powers of 1000).
type Size int64

var sizeUnits = []struct {
	name string
	n    float64
}{
	{"kib", 1 << 10},
	{"mib", 1 << 20},
	{"gib", 1 << 30},
	{"tib", 1 << 40},
	{"kb", 1e3},
	{"mb", 1e6},
	{"gb", 1e9},
	{"tb", 1e12},
	{"k", 1 << 10},
	{"m", 1 << 20},
	{"g", 1 << 30},
	{"t", 1 << 40},
	{"b", 1},
}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	t := strings.ToLower(strings.TrimSpace(string(text)))
	unit := 1.0
	for _, u := range sizeUnits {
		if strings.HasSuffix(t, u.name) {
			t, unit = strings.TrimSpace(strings.TrimSuffix(t, u.name)), u.n
			break
		}
	}
	v, err := strconv.ParseFloat(t, 64)
	if err != nil || v < 0 || v*unit > math.MaxInt64/2 || math.IsNaN(v) {
		return fmt.Errorf("%q is not a size such as 256MiB", text)
	}
	*s = Size(v * unit)
	return nil
}

// String gives the size in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range []struct {
		name string
		n    Size
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if s >= u.n && s%u.n == 0 {
			return strconv.FormatInt(int64(s/u.n), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText makes sizes readable where a configuration is printed.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
