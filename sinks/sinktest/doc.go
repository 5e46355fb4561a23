// Package sinktest is the conformance suite that each sink passes.
//
// A sink's test gives a Harness, which makes targets: a folder, a topic, a buffer. The suite opens sinks on a target one after the other, as
// the runs of a pipeline would, writes a made-up stream to them, kills them at every step, and reads back what arrived. Each row of that
// stream carries a text that follows from its name, so that a sink which reads a batch after having released it is found out: the batch is
// filled anew at once, and overwritten in race builds.
//
//	func TestConformance(t *testing.T) {
//		sinktest.Run(t, sinktest.Harness{New: func(t testing.TB) sinktest.Target { ... }})
//	}
//
// What it asks for: the changes of a table in order, each once; every batch acked once, in order, and not before its changes can be read
// back; nothing visible of a transaction that has not ended; Flush and Close as package sinks describes them; every batch released once, and
// the memory budget back at zero. After a kill the stream is delivered again from the last acked place with other bounds of batches, as a
// pipeline does that cuts them by time.
package sinktest
