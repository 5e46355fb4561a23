package testbed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The user for the program under test, beside root, who has no password. On
// MySQL 8.0 and later it authenticates with caching_sha2_password.
const (
	User     = "cdc"
	Password = "cdc-pass"
)

// templateVersion changes when what a template holds changes.
const templateVersion = 1

func isRoot() bool { return os.Geteuid() == 0 }

// template returns an initialised data folder that was shut down cleanly and
// holds no identity, to be copied for each server. It is made once per
// installation.
func (in *installation) template(ctx context.Context, log *progress) (string, error) {
	h := sha256.Sum256(fmt.Appendf(nil, "%d %s %v %s", templateVersion, manifestHead(in.kind, in.recipe), in.packages, in.base("")))
	dir := filepath.Join(in.cache, "templates", fmt.Sprintf("%s-%s", in.kind, hex.EncodeToString(h[:6])))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	unlock, err := lockFile(ctx, dir+".lock", func() { log.printf("waiting for another process that is making the data folder") })
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	work := dir + ".part"
	if err := errors.Join(os.RemoveAll(work), os.MkdirAll(work, 0o700)); err != nil {
		return "", err
	}
	step := log.step("initialising a data folder")
	err = in.initialise(ctx, work)
	step(err, dirSize(work))
	if err != nil {
		return "", fmt.Errorf("initialise a data folder: %w", err)
	}
	return dir, os.Rename(work, dir)
}

func (in *installation) initialise(ctx context.Context, data string) error {
	// There is no binary log yet, so the users precede every position and GTID.
	users := strings.Join([]string{
		"CREATE USER root@'%';",
		"GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;",
		"CREATE USER " + User + "@'%' IDENTIFIED BY '" + Password + "';",
		"GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO " + User + "@'%';",
	}, "\n") + "\n"
	if in.kind.MariaDB() {
		if err := in.bootstrap(ctx, data, users); err != nil {
			return err
		}
	} else {
		file := data + ".sql"
		if err := os.WriteFile(file, []byte(users), 0o600); err != nil {
			return err
		}
		defer os.Remove(file)
		argv, err := in.command(in.recipe.Mysqld, append(in.base(data), "--initialize-insecure", "--init-file="+file)...)
		if err != nil {
			return err
		}
		if _, err := run(ctx, argv[0], argv[1:]...); err != nil {
			return err
		}
	}
	// What makes a server this one and no other is made anew at the first start.
	for _, pattern := range []string{"auto.cnf", "server.pid", "s.sock*", "binlog.*"} {
		found, err := filepath.Glob(filepath.Join(data, pattern))
		if err != nil {
			return err
		}
		for _, f := range found {
			if err := os.Remove(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// bootstrap is what mariadb-install-db does, without its shell script.
func (in *installation) bootstrap(ctx context.Context, data, users string) error {
	share, names := filepath.Join(in.root, "usr/share/mysql"), "mysql"
	if in.kind == MariaDB118 {
		share, names = filepath.Join(in.root, "usr/share/mariadb"), "mariadb"
	}
	var sql strings.Builder
	// No anonymous users: they would shadow users of '%' who come from localhost.
	sql.WriteString("create database if not exists mysql;\nuse mysql;\nset @auth_root_socket=NULL;\nset @current_hostname='localhost';\nset @skip_auth_anonymous=1;\n")
	for _, f := range []string{"_system_tables.sql", "_performance_tables.sql", "_system_tables_data.sql"} {
		text, err := os.ReadFile(filepath.Join(share, names+f))
		if err != nil {
			return err
		}
		sql.Write(text)
		sql.WriteByte('\n')
	}
	sql.WriteString("flush privileges;\n" + users)
	argv, err := in.command(in.recipe.Mysqld, append(in.base(data), "--bootstrap")...)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(sql.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, tail(string(out), 12))
	}
	return nil
}
