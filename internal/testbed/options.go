package testbed

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
)

// Options of a server. The zero value is a source as most installations have
// it: row format, GTIDs on, the server's own default for binlog_row_metadata.
type Options struct {
	// Dir is the data folder, kept when the server ends and used as it is when
	// it holds data already. Empty: a folder in the cache that ends with the
	// server.
	Dir string
	// ServerID is @@server_id; 0: the port, so that it is unique on this machine.
	ServerID uint32
	// GTIDOff runs MySQL with gtid_mode=OFF and MariaDB, which always writes
	// GTIDs, without gtid_strict_mode.
	GTIDOff bool
	// FullMetadata sets binlog_row_metadata=FULL (an error where there is none).
	FullMetadata bool
	// RowImage is binlog_row_image: "", "full", "minimal" or "noblob".
	RowImage string
	// Compress turns on binlog_transaction_compression or log_bin_compress
	// (an error where there is neither).
	Compress bool
	// Durable makes each commit durable before it returns, as in production:
	// sync_binlog=1, innodb_flush_log_at_trx_commit=1. Otherwise a commit
	// survives a killed server, not a killed machine.
	Durable bool
	// Certs is what the server shows to clients; nil: what it makes itself
	// (MySQL, MariaDB 11.8) or no TLS (MariaDB 10.11).
	Certs *Certs
	// RequireTLS refuses clients without TLS.
	RequireTLS bool
	// Args are further options of mysqld, which win over ours.
	Args []string
	// Log gets the progress of provisioning; nil: none.
	Log io.Writer
}

// args are the command line of mysqld, without what Launch adds for a port.
func (in *installation) args(data string, o Options) ([]string, error) {
	k := in.kind
	if o.FullMetadata && !k.HasFullMetadata() {
		return nil, fmt.Errorf("%s has no binlog_row_metadata", k)
	}
	if o.Compress && !k.HasCompression() {
		return nil, fmt.Errorf("%s cannot compress its binary log", k)
	}
	a := in.base(data)
	a = append(a,
		"--bind-address="+loopback,
		"--socket=s.sock", // relative to the data folder: a socket's path must be short
		"--pid-file=server.pid",
		"--tmpdir="+data, // its own: MariaDB removes temporary tables, also of others, from there when it starts
		"--skip-name-resolve",
		"--local-infile=ON",
		"--secure-file-priv=",
		"--default-time-zone=+00:00",
		"--performance-schema=OFF",
		"--innodb-buffer-pool-size=64M",
		"--log-bin=binlog",
	)
	onOff := map[bool]string{true: "ON", false: "OFF"}
	if k.MariaDB() {
		a = append(a, "--binlog-format=ROW", "--log-slave-updates=ON", "--gtid-strict-mode="+onOff[!o.GTIDOff])
		if o.Compress {
			a = append(a, "--log-bin-compress=ON", "--log-bin-compress-min-len=10")
		}
	} else {
		a = append(a, "--gtid-mode="+onOff[!o.GTIDOff], "--enforce-gtid-consistency="+onOff[!o.GTIDOff])
		if k == MySQL57 {
			a = append(a, "--log-slave-updates=ON")
		} else {
			a = append(a, "--mysqlx=OFF")
		}
		if o.Compress {
			a = append(a, "--binlog-transaction-compression=ON")
		}
	}
	if o.FullMetadata {
		a = append(a, "--binlog-row-metadata=FULL")
	}
	if o.RowImage != "" {
		a = append(a, "--binlog-row-image="+o.RowImage)
	}
	if o.Durable {
		a = append(a, "--sync-binlog=1", "--innodb-flush-log-at-trx-commit=1")
	} else {
		a = append(a, "--sync-binlog=0", "--innodb-flush-log-at-trx-commit=2")
	}
	if c := o.Certs; c != nil {
		a = append(a, "--ssl-ca="+c.CA, "--ssl-cert="+c.Cert, "--ssl-key="+c.Key)
	}
	if o.RequireTLS {
		a = append(a, "--require-secure-transport=ON")
	}
	return append(a, o.Args...), nil
}

// base are the options that initialising and running have in common.
func (in *installation) base(data string) []string {
	usr, share := filepath.Join(in.root, "usr"), filepath.Join(in.root, "usr/share/mysql")
	switch in.kind {
	case MySQL80, MySQL57:
		usr, share = in.root, filepath.Join(in.root, "share")
	case MariaDB118:
		share = filepath.Join(in.root, "usr/share/mariadb")
	}
	a := []string{
		"--no-defaults",
		"--datadir=" + data,
		"--basedir=" + usr,
		"--lc-messages-dir=" + share,
		"--character-sets-dir=" + filepath.Join(share, "charsets"),
	}
	switch in.kind {
	case MySQL97:
		a = append(a, "--plugin-dir="+filepath.Join(usr, "lib/mysql/plugin"), "--innodb-redo-log-capacity=32M")
	case MySQL80, MySQL57:
		a = append(a, "--innodb-log-file-size=16M")
	default:
		a = append(a, "--plugin-dir="+filepath.Join(usr, "lib/mysql/plugin"), "--innodb-log-file-size=32M")
	}
	if isRoot() {
		a = append(a, "--user=root")
	}
	return a
}

func portArgs(port int, id uint32) []string {
	if id == 0 {
		id = uint32(port)
	}
	return []string{"--port=" + strconv.Itoa(port), "--server-id=" + strconv.FormatUint(uint64(id), 10)}
}
