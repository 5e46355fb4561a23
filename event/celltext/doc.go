// Package celltext writes cells as the text that the server's SELECT gives for them, which formats and tests share: numbers and times as the
// server prints them, ENUM and SET by the names of their members.
//
// Formats: MySQL source, strings/dtoa.cc (my_gcvt, my_fcvt) and mysys/my_time.cc; MariaDB source, sql/sql_type_fixedbin.h and
// sql/sql_type_inet.cc.
package celltext
