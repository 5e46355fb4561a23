//go:build !(linux || darwin || freebsd)

package materialize

import (
	"errors"
	"fmt"
	"os"
)

func lockFile(*os.File) error {
	return fmt.Errorf("lock a folder on this system: %w", errors.ErrUnsupported)
}
