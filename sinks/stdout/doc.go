// Package stdout has a sink that writes one line per record to an io.Writer, usually the standard output.
//
// Changes are shown as they come, also of a transaction that has not ended. A batch is acked when the writer has taken its bytes; what the
// other end of a pipe does with them is not known, so delivery is at least once: after a kill the transactions behind the last saved
// checkpoint are printed again.
//
// Bytes are handed to the writer when a batch is through, so that a change shows at once, and in the middle of a large one when the buffer is
// full. A writer that takes nothing (a pipe whose reader sleeps) fills the queue, and then Write blocks. Close does not wait for a Write of
// the io.Writer that hangs: nothing can interrupt it, and it holds no batch.
//
// Where the reader of a pipe goes away the sink ends with ErrBrokenPipe. For descriptors 1 and 2 the Go runtime would end the process by
// SIGPIPE instead: a program that wants the error ignores that signal.
package stdout
