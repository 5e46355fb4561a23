// Package queue is the shell around a sink that works in one goroutine: it takes batches, hands them over one after the other, and sees to what is
// the same for all such sinks. After a failure everything gets the same answer, a Write that was given up lets nothing follow it, and Close gives
// back what is still queued.
//
//	s.q = queue.New(worker, "the output was closed")
//	err := s.q.Write(ctx, b, ack)   // Write, Flush and Close are those of sinks.Sink
//
// The worker has no locks and starts nothing: all its methods are called from the queue's goroutine.
package queue
