//go:build !linux

package peers

func (j *JVM) run(started chan<- error) {
	err := j.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	j.err = j.cmd.Wait()
	close(j.exited)
}
