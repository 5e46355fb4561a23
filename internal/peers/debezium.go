package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cdc/internal/testbed"
)

// Debezium is a Connect worker with MySQL connectors.
type Debezium struct {
	Dir     string // for offsets, schema histories and the log
	Brokers string
	Java    []string // options of the JVM
	Worker  map[string]string
	// Connectors by name, which is also their topic.prefix. Each has the settings of [DebeziumConnector] to begin with.
	Connectors map[string]map[string]string
}

// DebeziumConnector are the settings of a connector that reads the whole binary log of the server at host:port.
func DebeziumConnector(dir, name, host, port string, serverID int, brokers string) map[string]string {
	return map[string]string{
		"name":                                  name,
		"connector.class":                       "io.debezium.connector.mysql.MySqlConnector",
		"tasks.max":                             "1",
		"topic.prefix":                          name,
		"database.hostname":                     host,
		"database.port":                         port,
		"database.user":                         "root",
		"database.password":                     "",
		"database.server.id":                    fmt.Sprint(serverID),
		"snapshot.mode":                         "never",
		"schema.history.internal":               "io.debezium.storage.file.history.FileSchemaHistory",
		"schema.history.internal.file.filename": filepath.Join(dir, name+".history"),
		"schema.history.internal.skip.unparseable.ddl": "false",
		"key.converter":                  "org.apache.kafka.connect.json.JsonConverter",
		"value.converter":                "org.apache.kafka.connect.json.JsonConverter",
		"key.converter.schemas.enable":   "false",
		"value.converter.schemas.enable": "false",
	}
}

// Start starts the worker.
func (d Debezium) Start(ctx context.Context) (*JVM, error) {
	worker, err := testbed.Jars(ctx, string(testbed.Kafka43), connectJars, connectExclude...)
	if err != nil {
		return nil, err
	}
	plugin, err := testbed.Jars(ctx, "debezium-"+DebeziumVersion, debeziumJars, debeziumExclude...)
	if err != nil {
		return nil, err
	}
	// plugin.path holds one folder for each plugin.
	plugins := filepath.Join(d.Dir, "plugins")
	if err := os.MkdirAll(plugins, 0o755); err != nil {
		return nil, err
	}
	link := filepath.Join(plugins, "debezium")
	if err := os.Symlink(plugin, link); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	settings := map[string]string{
		"bootstrap.servers":            d.Brokers,
		"key.converter":                "org.apache.kafka.connect.json.JsonConverter",
		"value.converter":              "org.apache.kafka.connect.json.JsonConverter",
		"offset.storage.file.filename": filepath.Join(d.Dir, "offsets"),
		"offset.flush.interval.ms":     "10000",
		"plugin.path":                  plugins,
		"plugin.discovery":             "hybrid_warn",
		"listeners":                    "http://127.0.0.1:0",
	}
	for k, v := range d.Worker {
		settings[k] = v
	}
	file := filepath.Join(d.Dir, "worker.properties")
	if err := properties(file, settings); err != nil {
		return nil, err
	}
	args := slices.Concat(d.Java, []string{
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", filepath.Join(worker, "*"), "org.apache.kafka.connect.cli.ConnectStandalone", file,
	})
	for name, c := range d.Connectors {
		file := filepath.Join(d.Dir, name+".properties")
		if err := properties(file, c); err != nil {
			return nil, err
		}
		args = append(args, file)
	}
	return start(filepath.Join(d.Dir, "connect.log"), d.Dir, args...)
}

// properties writes a Java properties file.
func properties(file string, settings map[string]string) error {
	lines := make([]string, 0, len(settings))
	for k, v := range settings {
		lines = append(lines, k+"="+strings.ReplaceAll(v, `\`, `\\`)+"\n")
	}
	slices.Sort(lines)
	return os.WriteFile(file, []byte(strings.Join(lines, "")), 0o644)
}
