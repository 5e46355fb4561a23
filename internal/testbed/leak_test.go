//go:build servers

package testbed_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cdc/internal/testbed"
)

const childEnv = "TESTBED_TEST_CHILD"

// The process that launched a server is killed: the server dies with it, and its
// data folder goes.
func TestNothingLeftAfterKill(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		s := testbed.Shared(t, testbed.MariaDB1011)
		fmt.Println("server", s.PID(), s.Dir)
		_, _ = os.Stdin.Read(make([]byte, 1)) // until killed
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^TestNothingLeftAfterKill$")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	var dir string
	lines := bufio.NewScanner(out)
	for pid == 0 && lines.Scan() {
		if strings.HasPrefix(lines.Text(), "server ") {
			if _, err := fmt.Sscanf(lines.Text(), "server %d %s", &pid, &dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := syscall.Kill(pid, 0); pid == 0 || err != nil {
		t.Fatalf("the child's server %d does not run: %v", pid, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, as intended
	deadline := time.Now().Add(30 * time.Second)
	for {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		gone := errors.Is(err, fs.ErrNotExist) || strings.Contains(string(status), ") Z ") // nobody may reap in a container
		_, err = os.Stat(filepath.Dir(filepath.Dir(dir)))
		if gone && errors.Is(err, fs.ErrNotExist) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("server gone: %t, its folder: %v", gone, err)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}
