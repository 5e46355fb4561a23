package testbed

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
)

// copyTools stands for the programs by which others copy a server: no server, but unpacked as one is.
const copyTools Kind = "copytools"

// Tool prepares a run of one of the programs by which others copy a server: mydumper, myloader, mysqldump or mysql, of Debian's packages, which are downloaded when
// they are first wanted.
func Tool(ctx context.Context, program string, args ...string) (*exec.Cmd, error) {
	in, err := provisioned(ctx, os.Stderr, copyTools)
	if err != nil {
		return nil, err
	}
	argv, err := in.command("usr/bin/"+program, args...)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "MARIADB_PLUGIN_DIR="+filepath.Join(in.root, "usr/lib/x86_64-linux-gnu/libmariadb3/plugin")) // the client's ways to log in
	return cmd, nil
}

// ToolVersion is the version of a package of those programs: mydumper or mysql-client-core.
func ToolVersion(ctx context.Context, name string) (string, error) {
	in, err := provisioned(ctx, os.Stderr, copyTools)
	if err != nil {
		return "", err
	}
	return packageVersion(in.packages, name), nil
}
