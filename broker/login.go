package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"cdc/fault"
)

// maxIterations is how often a broker may have a password hashed: Kafka's own limit is 16384, and one who asks for a billion stops the client.
const maxIterations = 1 << 20

// Login makes what logs in, nil without login. The password is read anew at each call, so that one that was changed is used. Its errors are faults.
func (s *SASL) Login() (sasl.Mechanism, error) {
	if s.Mechanism == "" {
		return nil, nil
	}
	password, err := s.Password.Value()
	if err != nil {
		return nil, fault.New(fault.ConfigSecret, "sasl.password: %w", err)
	}
	switch s.Mechanism {
	case saslPlain:
		return plain.Mechanism{Username: s.User, Password: password}, nil
	case saslSCRAM256:
		return bounded(scram.SHA256, s.User, password)
	}
	return bounded(scram.SHA512, s.User, password)
}

// mechanism is SCRAM with a limit for the iterations that a broker asks for.
type mechanism struct{ sasl.Mechanism }

func bounded(algorithm scram.Algorithm, user, password string) (sasl.Mechanism, error) {
	m, err := scram.Mechanism(algorithm, user, password)
	if err != nil {
		return nil, fault.New(fault.ConfigInvalid, "sasl.user or sasl.password has characters that SCRAM does not allow")
	}
	return mechanism{m}, nil
}

func (m mechanism) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	s, first, err := m.Mechanism.Start(ctx)
	return &exchange{s}, first, err
}

type exchange struct{ sasl.StateMachine }

var iterations = regexp.MustCompile(`(?:^|,)i=(\d+)`)

func (e *exchange) Next(ctx context.Context, challenge []byte) (bool, []byte, error) {
	if m := iterations.FindSubmatch(challenge); m != nil {
		if n, err := strconv.Atoi(string(m[1])); err != nil || n > maxIterations {
			return false, nil, fmt.Errorf("the broker asks for %s iterations of the hash", m[1])
		}
	}
	return e.StateMachine.Next(ctx, challenge)
}

// authenticate logs in.
func (d *Dialer) authenticate(ctx context.Context, c *protocol.Conn, m sasl.Mechanism, addr string) error {
	denied := func(format string, args ...any) error {
		return fault.New(d.Codes.AccessDenied, format, args...).At(fault.Where{Server: addr})
	}
	res, err := c.RoundTrip(&saslhandshake.Request{Mechanism: m.Name()})
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	hand, ok := res.(*saslhandshake.Response)
	if !ok {
		return fmt.Errorf("log in: the answer is a %T", res)
	}
	switch k := Error(hand.ErrorCode); {
	case k == ErrUnsupportedSASL:
		return denied("the broker does not offer %s but %s", m.Name(), strings.Join(hand.Mechanisms, ", "))
	case k != ErrNone:
		return denied("the broker refused %s: %w", m.Name(), k)
	}
	state, out, err := m.Start(ctx)
	if err != nil {
		return denied("%s: %w", m.Name(), err)
	}
	for {
		res, err := c.RoundTrip(&saslauthenticate.Request{AuthBytes: out})
		if err != nil {
			return fmt.Errorf("log in: %w", err)
		}
		auth, ok := res.(*saslauthenticate.Response)
		if !ok {
			return fmt.Errorf("log in: the answer is a %T", res)
		}
		if k := Error(auth.ErrorCode); k != ErrNone {
			return denied("the broker refused user or password (%s): %w", m.Name(), k)
		}
		done, next, err := state.Next(ctx, auth.AuthBytes)
		if err != nil {
			return denied("%s: the broker did not prove that it knows the password: %w", m.Name(), err)
		}
		if done {
			return nil
		}
		out = next
	}
}

// tlsFault gives the fault of an error of a handshake that comes back at each try, or nil.
func (d *Dialer) tlsFault(err error, addr string) error {
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	where := fault.Where{Server: addr}
	switch {
	case errors.As(err, &verify):
		return fault.New(d.Codes.TLSVerify, "%w", err).At(where)
	case errors.As(err, &record):
		return fault.New(d.Codes.TLSRequired, "the broker does not speak TLS at this port").At(where).
			Hint("give the port of a TLS listener, or leave tls: out if the network is trusted")
	case errors.As(err, &alert), strings.Contains(err.Error(), "remote error: tls:"):
		return fault.New(d.Codes.TLSVerify, "the broker refused the TLS handshake: %w", err).At(where).
			Hint("if it asks for a client's certificate (ssl.client.auth=required), set tls.cert and tls.key")
	}
	return nil
}

// plainFault gives the fault of a first request without TLS that a broker with TLS answered, or nil.
func (d *Dialer) plainFault(err error, addr string) error {
	if errors.Is(err, io.ErrUnexpectedEOF) && strings.Contains(err.Error(), "TLS") {
		return fault.New(d.Codes.TLSRequired, "the broker wants TLS at this port").At(fault.Where{Server: addr}).Hint("set tls.enabled: true, or tls.ca")
	}
	return nil
}
