package session

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"cdc/fault"
	"cdc/internal/settings"
)

// rogue is a server that does what a real one cannot be made to do: it greets, and then follows a script of packets, each sent after
// one came from the client.
func rogue(t *testing.T, greeting []byte, script ...[]byte) Config {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := conn.Write(frame(0, greeting)); err != nil {
			return
		}
		for _, p := range script {
			var h [4]byte
			if _, err := io.ReadFull(conn, h[:]); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, conn, int64(h[0])|int64(h[1])<<8|int64(h[2])<<16); err != nil {
				return
			}
			if _, err := conn.Write(frame(h[3]+1, p)); err != nil {
				return
			}
		}
		_, _ = io.Copy(io.Discard, conn)
	}()
	t.Setenv("CDC_TEST_PASSWORD", "canary-password")
	return Config{
		Address: ln.Addr().String(), User: "u", Password: settings.Secret{Env: "CDC_TEST_PASSWORD"}, ConnectTimeout: 3 * time.Second,
		TLS: TLS{Mode: TLSDisabled},
	}
}

// frame makes packets of payloads.
func frame(seq byte, payloads ...[]byte) []byte {
	var out []byte
	for _, p := range payloads {
		for {
			n := min(len(p), maxPacket)
			out = append(out, byte(n), byte(n>>8), byte(n>>16), seq)
			out = append(out, p[:n]...)
			seq++
			p = p[n:]
			if n < maxPacket {
				break
			}
		}
	}
	return out
}

// hello is a greeting of protocol 10.
func hello(plugin string) []byte {
	b := append([]byte{10}, "9.7.0\x00"...)
	b = append(b, 1, 0, 0, 0)
	b = append(b, "12345678\x00"...)
	const flags = 0x0200 | 0x8000 | 0x2000 | 0x80000 | 0x1 | 0x1000000
	b = binary.LittleEndian.AppendUint16(b, flags&0xffff)
	b = append(b, 255, 2, 0)
	b = binary.LittleEndian.AppendUint16(b, flags>>16)
	b = append(b, 21)
	b = append(b, make([]byte, 10)...)
	b = append(b, "123456789012\x00"...)
	return append(append(b, plugin...), 0)
}

func TestRogueServers(t *testing.T) {
	switchTo := func(plugin string) []byte {
		return append(append([]byte{0xfe}, plugin...), "\x0012345678901234567890\x00"...)
	}
	ok := []byte{0, 0, 0, 2, 0, 0, 0}
	for _, c := range []struct {
		name     string
		greeting []byte
		script   [][]byte
		code     fault.Code
	}{
		{"wants the password in clear text", hello("mysql_native_password"), [][]byte{switchTo(pluginClear)}, fault.SourceAuthPlugin},
		{"greets with clear text", hello(pluginClear), nil, fault.SourceAuthPlugin},
		{"wants the oldest hash", hello("mysql_native_password"), [][]byte{{0xfe}}, fault.SourceAuthPlugin},
		{"names a key", hello(pluginCachingSHA2), [][]byte{{1, 4}, append([]byte{1}, "no key"...)}, fault.SourceProtocol},
		{"asks for a file while logging in", hello("mysql_native_password"), [][]byte{append([]byte{0xfb}, "/etc/passwd"...)}, fault.SourceProtocol},
		{"asks for a file instead of an answer", hello("mysql_native_password"), [][]byte{ok, append([]byte{0xfb}, "/etc/passwd"...)}, fault.SourceProtocol},
		{"greets like MySQL 5.5", hello("mysql_native_password")[:50], nil, fault.SourceProtocol},
		{"greets in another language", []byte("SSH-2.0-OpenSSH_9.2"), nil, fault.SourceProtocol},
		{"greets with nothing", nil, nil, fault.SourceProtocol},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Open(t.Context(), rogue(t, c.greeting, c.script...), Options{Codes: SourceCodes()})
			if err == nil {
				defer s.Close()
				_, err = s.Query(t.Context(), "SELECT 1")
			}
			if !fault.Has(err, c.code) {
				t.Errorf("got %v, want %s", err, c.code)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("the password is in %v", err)
			}
		})
	}
}

// TestKeyFromServer: away from loopback a key that the server names is not trusted.
func TestKeyFromServer(t *testing.T) {
	for _, c := range []struct {
		packets [][]byte
		allow   bool
		refused bool
	}{
		{[][]byte{hello(pluginCachingSHA2), {1, 4}}, false, true},
		{[][]byte{hello(pluginCachingSHA2), {1, 4}}, true, false},
		{[][]byte{hello(pluginCachingSHA2), {1, 3}}, false, false},
		{[][]byte{hello(pluginSHA256)}, false, true},
		{[][]byte{hello("mysql_native_password"), append([]byte{0xfe}, pluginSHA256+"\x00salt"...)}, false, true},
		{[][]byte{hello("mysql_native_password"), append([]byte{0xfe}, pluginClear+"\x00"...)}, true, true},
	} {
		in, out := net.Pipe()
		codes := SourceCodes()
		g := &gate{Conn: in, codes: &codes, allowKey: c.allow}
		go func() {
			for i, p := range c.packets {
				if _, err := out.Write(frame(byte(2*i), p)); err != nil {
					break
				}
			}
			out.Close()
		}()
		_, err := io.Copy(io.Discard, g)
		in.Close()
		if fault.Has(err, fault.SourceAuthPlugin) != c.refused {
			t.Errorf("%q allowed=%t: got %v", c.packets, c.allow, err)
		}
	}
}
