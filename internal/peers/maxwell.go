package peers

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"

	"cdc/internal/testbed"
)

// Maxwell is a running Maxwell that replicates from one server and keeps its own database on another, so that the first is not written to.
type Maxwell struct {
	Dir       string
	Name      string // client_id
	Brokers   string
	Source    *testbed.Server
	Store     *testbed.Server
	ReplicaID string
	Position  string // FILE:OFFSET where it begins to read; empty: the beginning of binlog.000001
	Java      []string
	Args      []string // further options
}

// MaxwellReady is in the log when it replicates.
const MaxwellReady = "Binlog connected"

// Start starts it.
func (m Maxwell) Start(ctx context.Context) (*JVM, error) {
	jars, err := testbed.Jars(ctx, "maxwell-"+MaxwellVersion, maxwellJars, maxwellExclude...)
	if err != nil {
		return nil, err
	}
	nashorn, err := compiled(ctx, "jdk/nashorn/api/scripting/ScriptObjectMirror.java", "")
	if err != nil {
		return nil, err
	}
	const loopback = "127.0.0.1"
	jdbc := "useSSL=false&allowPublicKeyRetrieval=true&serverTimezone=UTC&zeroDateTimeBehavior=convertToNull"
	if err := m.Store.Exec(ctx, "CREATE USER IF NOT EXISTS maxwell IDENTIFIED BY 'maxwell'", "GRANT ALL ON *.* TO maxwell"); err != nil {
		return nil, err
	}
	// Its connection to the source does not ask for the server's public key. A login of anybody's leaves the password in the server's cache,
	// and then it need not.
	conn, err := m.Source.ConnAs(ctx, testbed.User, testbed.Password)
	if err != nil {
		return nil, err
	}
	conn.Close()
	args := slices.Concat(m.Java, []string{
		"-cp", nashorn + ":" + filepath.Join(jars, "*"), "com.zendesk.maxwell.Maxwell",
		"--host=" + loopback, "--port=" + itoa(m.Store.Port), "--user=maxwell", "--password=maxwell",
		"--replication_host=" + loopback, "--replication_port=" + itoa(m.Source.Port), "--replication_user=" + testbed.User, "--replication_password=" + testbed.Password,
		"--schema_database=maxwell_" + m.Name, "--client_id=" + m.Name, "--replica_server_id=" + m.ReplicaID,
		"--jdbc_options=" + jdbc, "--producer=kafka", "--kafka.bootstrap.servers=" + m.Brokers, "--kafka_topic=" + m.Name,
		"--bootstrapper=none", "--init_position=" + cmp.Or(m.Position, "binlog.000001:4") + ":0", "--log_level=INFO",
	}, m.Args)
	return start(filepath.Join(m.Dir, "maxwell-"+m.Name+".log"), m.Dir, args...)
}
