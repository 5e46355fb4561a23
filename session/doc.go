// Package session logs in to a MySQL or MariaDB server and runs statements there. Sources, targets and the comparison of both share it.
//
//	s, err := session.Open(ctx, cfg, session.Options{Codes: session.TargetCodes(), FoundRows: true, MultiStatements: true})
//	if err != nil { ... } // a fault, with the codes of that side
//	defer s.Close()
//	rows, err := s.Query(ctx, "SELECT @@GLOBAL.gtid_executed")
//	err = s.Stream(ctx, "SELECT id, name FROM shop.orders", func(row [][]byte) error { ... })
//	err = s.Many(ctx, text, func(i int, affected uint64, err error) error { ... })
//
// # Who does what
//
// The client library does greeting, TLS and login; a gate looks at what the server asks for while nothing is encrypted, since the library
// would give the password away to whoever asks. From then on the library is out of the way: statements and answers are packets that are
// written and read here, so that the values of a row stay the text that the server wrote (the library would take a FLOAT apart and print it
// anew), and a transaction of a thousand statements costs one round trip and no allocation for each.
//
// # Errors
//
// Open fails with a fault. A statement that the server refuses gives an error that wraps *Error, whose number Number gives; Fault makes a
// fault of it where a missing privilege is what is to be expected. A connection that broke gives the fault Codes.Lost and an answer that
// is none gives Codes.Protocol; the connection is closed then, and each later call gives Codes.Lost. A context that ends closes the connection
// too, and the call returns the cause: statements cannot be called back, and the answer would be taken for that of the next one.
//
// # Text
//
// The character set of the connection is utf8mb4. The handshake names the collation utf8mb4_general_ci, which all servers know: of the
// collation 255 that the library would name, MySQL 5.7 and MariaDB know nothing, and they fall back to their own default in silence, which may
// be latin1.
//
// # Use
//
// A Session is used by one goroutine at a time; Close may be called from any.
package session
