//go:build !(linux || darwin || freebsd)

package files

import (
	"errors"
	"fmt"
	"math"
	"os"
)

func lockFile(*os.File) error {
	return fmt.Errorf("lock a folder on this system: %w", errors.ErrUnsupported)
}

func freeBytes(*os.File) (uint64, error) { return math.MaxUint64, nil }
