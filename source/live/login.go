package live

import (
	"context"

	"cdc/session"
)

// Error numbers of the server that only replication meets, from its errmsg file.
const (
	erUnknownCommand = 1047
	erMasterFatal    = 1236
)

// login is a session with the source.
type login struct{ *session.Session }

// connect dials and logs in. Its errors are faults.
func connect(ctx context.Context, cfg *Config) (*login, error) {
	s, err := session.Open(ctx, cfg.Config, session.Options{Codes: session.SourceCodes()})
	if err != nil {
		return nil, err
	}
	return &login{s}, nil
}

// lost reports errors that say that the connection is gone.
func lost(err error) bool { return session.Lost(err) }
