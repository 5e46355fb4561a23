package peers

import (
	"runtime"
	"syscall"
)

// run starts the process and waits for it, all on one thread: the kernel sends Pdeathsig when the thread that forked ends.
func (j *JVM) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	j.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	err := j.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	j.err = j.cmd.Wait()
	close(j.exited)
}
