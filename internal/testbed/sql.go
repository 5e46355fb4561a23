package testbed

import (
	"context"
	"crypto/tls"
	"database/sql"
	"fmt"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
)

// Value is a result as the server's text protocol wrote it, byte for byte.
// Valid is false for NULL.
type Value = sql.NullString

// Conn opens a connection as root over TCP, with TLS if the server has
// certificates of ours. The caller closes it.
func (s *Server) Conn(ctx context.Context) (*client.Conn, error) {
	return s.ConnAs(ctx, "root", "")
}

// ConnAs is Conn as another user.
func (s *Server) ConnAs(ctx context.Context, user, password string) (*client.Conn, error) {
	conn, err := client.ConnectWithContext(ctx, s.Addr(), user, password, "", 10*time.Second, func(c *client.Conn) error {
		if s.opts.Certs != nil || s.opts.RequireTLS {
			c.SetTLSConfig(OldTLS(&tls.Config{InsecureSkipVerify: true})) // it is our own server, on loopback
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("connect to %s at %s: %w", s.Kind, s.Addr(), err)
	}
	return conn, nil
}

// Exec runs statements, one to a string, as root in one new session.
func (s *Server) Exec(ctx context.Context, statements ...string) error {
	_, err := s.Query(ctx, statements...)
	return err
}

// Query is Exec which returns the rows of the last statement.
func (s *Server) Query(ctx context.Context, statements ...string) ([][]Value, error) {
	conn, err := s.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return QueryConn(ctx, conn, statements...)
}

// QueryConn is Query on a session of the caller's. If ctx ends first, it
// closes the connection.
func QueryConn(ctx context.Context, conn *client.Conn, statements ...string) ([][]Value, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Conn.Close() })
	defer stop()
	var rows [][]Value
	for _, q := range statements {
		res, err := conn.Execute(q)
		if err != nil {
			if ctx.Err() != nil {
				err = fmt.Errorf("%w (%w)", context.Cause(ctx), err)
			}
			return nil, fmt.Errorf("%w\nin: %.500s", err, q)
		}
		rows, err = textRows(res)
		res.Close()
		if err != nil {
			return nil, fmt.Errorf("%w\nin: %.500s", err, q)
		}
	}
	return rows, nil
}

// textRows reads the row packets themselves: the library's own values have lost
// what the server printed of floats and times.
func textRows(res *mysql.Result) ([][]Value, error) {
	if res == nil || res.Resultset == nil {
		return nil, nil
	}
	rows := make([][]Value, 0, len(res.RowDatas))
	for _, data := range res.RowDatas {
		row := make([]Value, 0, len(res.Fields))
		for len(data) > 0 {
			v, null, n, err := mysql.LengthEncodedString(data)
			if err != nil {
				return nil, fmt.Errorf("read a result row: %w", err)
			}
			row = append(row, Value{String: string(v), Valid: !null})
			data = data[n:]
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// One returns the only value of the last statement's only row, "" for NULL.
func (s *Server) One(ctx context.Context, statements ...string) (string, error) {
	rows, err := s.Query(ctx, statements...)
	if err != nil {
		return "", err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return "", fmt.Errorf("%d rows, not one value: %.200s", len(rows), statements[len(statements)-1])
	}
	return rows[0][0].String, nil
}

// ExecutedGTIDs is the set of all GTIDs that the server has executed:
// gtid_executed, or MariaDB's gtid_binlog_pos (the last of each domain).
func (s *Server) ExecutedGTIDs(ctx context.Context) (string, error) {
	if s.Kind.MariaDB() {
		return s.One(ctx, "SELECT @@GLOBAL.gtid_binlog_pos")
	}
	return s.One(ctx, "SELECT REPLACE(@@GLOBAL.gtid_executed, '\\n', '')")
}
