// Package null has a sink that counts changes and throws them away: for benchmarks, and to see how fast a source can be read. With an encoder
// it makes the bytes first, so that what is measured includes the format.
package null
