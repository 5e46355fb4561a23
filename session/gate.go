package session

import (
	"bytes"
	"net"
	"sync/atomic"

	"cdc/fault"
)

// gate stands between the client library and a connection without TLS while it logs in, and looks at what the server asks for. The library
// would send the password in clear text to a server that asks for it, and take any public key that a server names; MySQL's own clients do
// neither unless told to. Over TLS both are safe against those who listen, and the bytes cannot be seen here.
type gate struct {
	net.Conn
	codes    *Codes
	allowKey bool // encrypting the password with a key that the server names is allowed
	open     atomic.Bool
	seen     []byte // of the packet that is arriving
	packets  int
	refused  *fault.Error
}

// Names of authentication plugins, as in the server's packets.
const (
	pluginClear       = "mysql_clear_password"
	pluginOld         = "mysql_old_password"
	pluginSHA256      = "sha256_password"
	pluginCachingSHA2 = "caching_sha2_password"
)

// maxGreeting bounds a packet that is looked at; those of logging in are a few hundred bytes.
const maxGreeting = 64 << 10

func (g *gate) Read(p []byte) (int, error) {
	if g.refused != nil {
		return 0, g.refused
	}
	n, err := g.Conn.Read(p)
	if n > 0 && !g.open.Load() {
		g.seen = append(g.seen, p[:n]...)
		g.look()
		if g.refused != nil {
			return 0, g.refused
		}
	}
	return n, err
}

// look takes the whole packets off seen.
func (g *gate) look() {
	for len(g.seen) >= 4 {
		n := int(g.seen[0]) | int(g.seen[1])<<8 | int(g.seen[2])<<16
		if n > maxGreeting {
			g.refused = fault.New(g.codes.Protocol, "the server sent %d bytes while logging in", n)
			return
		}
		if len(g.seen) < 4+n {
			return
		}
		g.packet(g.seen[4 : 4+n])
		g.seen = g.seen[4+n:]
		g.packets++
	}
}

func (g *gate) packet(body []byte) {
	if len(body) == 0 {
		g.refused = fault.New(g.codes.Protocol, "the server sent an empty packet while logging in")
		return
	}
	if g.packets == 0 { // the greeting ends with the name of the server's default plugin
		if bytes.HasSuffix(bytes.TrimRight(body, "\x00"), []byte(pluginSHA256)) && !bytes.HasSuffix(body, []byte(pluginCachingSHA2+"\x00")) {
			g.plugin(pluginSHA256)
		}
		return
	}
	switch body[0] {
	case 0x00: // logged in: what follows is not looked at
		g.open.Store(true)
	case 0xfe:
		name, _, _ := bytes.Cut(body[1:], []byte{0})
		if len(name) == 0 {
			name = []byte(pluginOld)
		}
		g.plugin(string(name))
	case 0x01:
		if len(body) == 2 && body[1] == 4 && !g.allowKey { // caching_sha2_password: the server does not remember the account and wants the password itself
			g.refused = fault.New(g.codes.AuthPlugin, "the server wants the password itself, and the connection is not encrypted").
				Hint("set tls.mode to required or better; or, in a network that nobody can change traffic in, allow_public_key_retrieval: true")
		}
	case 0xfb:
		g.refused = fault.New(g.codes.Protocol, "the server asked for a local file while logging in")
	}
}

// plugin judges the plugin that the server wants.
func (g *gate) plugin(name string) {
	switch {
	case name == pluginClear:
		g.refused = fault.New(g.codes.AuthPlugin, "the server wants the password in clear text (%s), and the connection is not encrypted", name).
			Hint("set tls.mode to required or better, or give the account another authentication plugin")
	case name == pluginOld:
		g.refused = fault.New(g.codes.AuthPlugin, "the server wants the password hash of before MySQL 4.1 (%s)", name)
	case name == pluginSHA256 && !g.allowKey:
		g.refused = fault.New(g.codes.AuthPlugin, "the server wants the password itself (%s), and the connection is not encrypted", name).
			Hint("set tls.mode to required or better; or, in a network that nobody can change traffic in, allow_public_key_retrieval: true")
	}
}
