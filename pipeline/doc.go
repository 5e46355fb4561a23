// Package pipeline joins one source, transforms and one sink, and keeps the place.
//
//	source --Read--> batch --skip, transforms--> window --Write--> sink
//	                                                |                 |
//	                            checkpoint <--commit--+------ack------+
//
// The pure part is the core: it numbers batches, drops what the sink holds already, runs the transforms, keeps the window of batches that were
// not acknowledged, and says what may be saved: the place behind the longest prefix of batches that were all acknowledged, together with the
// schema history up to there. It has no goroutine, clock or disk, so that a simulation can drive it through every order of events. Pipeline is
// the thin shell of goroutines around it: a reader, and a committer.
//
// Two credits bound what is under way, and they are never merged. Memory is counted by event.Budget: bytes of batches that were not released,
// and of what sinks copied out of them. Order is counted by the window: places that were not acknowledged. A file sink holds acknowledgements
// for a minute while it has long released the memory; one merged credit would stop reading there, and then the acknowledgement, which waits for
// more changes or for time, comes late or never.
package pipeline
