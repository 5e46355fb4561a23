package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// Error numbers of the server, from its errmsg file.
const (
	ErDBAccessDenied        = 1044
	ErAccessDenied          = 1045
	ErShutdown              = 1053
	ErDuplicateKey          = 1062
	ErParse                 = 1064
	ErTableAccessDenied     = 1142
	ErColumnAccessDenied    = 1143
	ErNoSuchTable           = 1146
	ErUnknownVariable       = 1193
	ErLockWait              = 1205
	ErDeadlock              = 1213
	ErSpecificAccessDenied  = 1227
	ErQueryInterrupted      = 1317
	ErProcedureAccessDenied = 1370
	ErConnectionKilled      = 1927 // MariaDB
	ErClientTimeout         = 4031

	erHostNotPrivileged = 1130
	erPluginNotLoaded   = 1524
	erPasswordExpired   = 1820
	erAccountLocked     = 3118
	erSecureTransport   = 3159
)

// Error is what the server says of a statement that it refuses.
type Error struct {
	Number  uint16
	State   string // SQLSTATE
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("error %d (%s): %s", e.Number, e.State, e.Message) }

// parseError reads an ERR packet.
func parseError(body []byte) *Error {
	if len(body) < 3 {
		return &Error{Message: "an error without a number"}
	}
	e := &Error{Number: binary.LittleEndian.Uint16(body[1:])}
	rest := body[3:]
	if len(rest) >= 6 && rest[0] == '#' {
		e.State, rest = string(rest[1:6]), rest[6:]
	}
	e.Message = strings.ToValidUTF8(string(rest[:min(len(rest), 2000)]), "?")
	return e
}

// Number gives the server's error number, 0 for other errors.
func Number(err error) uint16 {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Number
	}
	return 0
}

// Lost reports errors that say that the connection is gone, and not that something is wrong with what was asked.
func Lost(err error) bool {
	if err == nil {
		return false
	}
	if e, ok := errors.AsType[*Error](err); ok {
		switch e.Number {
		case ErShutdown, ErConnectionKilled, ErQueryInterrupted, ErClientTimeout:
			return true
		}
		return false
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, mysql.ErrBadConn) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, os.ErrDeadlineExceeded)
}

func isTimeout(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}
