// Package jsonenc appends JSON values to byte slices, without allocating.
//
// It is what the formats of this project are made of: text is escaped eight bytes at a time where nothing is to be escaped, numbers, dates
// and times are written in place, and a DECIMAL becomes the two's complement of its unscaled value without an arbitrary-precision integer
// where 128 bits hold it. Nothing here builds a value first: an encoder keeps what does not change from row to row as bytes, and appends.
//
// Invalid UTF-8 never leaves: AppendString reports it and writes nothing. What to write then is the format's decision.
package jsonenc
