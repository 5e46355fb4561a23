// Package sqltext appends numbers and times as the server prints them, and strings as it reads them: what cells and JSON documents have in common.
//
// Formats: MySQL source, strings/dtoa.cc (my_gcvt) and mysys/my_time.cc.
package sqltext
