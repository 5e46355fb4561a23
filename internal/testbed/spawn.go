package testbed

import (
	"os/exec"
	"runtime"
	"sync"
)

type spawn struct {
	cmd *exec.Cmd
	err chan error
}

// spawner starts children from one operating system thread that lives as long
// as the process. The kernel sends Pdeathsig when the thread that forked ends,
// not the process: a child started from any goroutine would be killed as soon
// as the runtime retires that thread.
var spawner = sync.OnceValue(func() chan<- spawn {
	c := make(chan spawn)
	go func() {
		runtime.LockOSThread()
		for s := range c {
			s.err <- s.cmd.Start()
		}
	}()
	return c
})

// StartChild starts cmd so that it is killed when this process ends.
func StartChild(cmd *exec.Cmd) error {
	// A process group of its own keeps the terminal's Ctrl-C from the servers,
	// which must outlive the clients that are shutting down cleanly.
	cmd.SysProcAttr = childAttributes()
	s := spawn{cmd: cmd, err: make(chan error, 1)}
	spawner() <- s
	return <-s.err
}
