package peers

// Versions of the peers, as documents and golden files name them.
const (
	DebeziumVersion = "3.5.0.Final"
	MaxwellVersion  = "1.22.6"
	CanalVersion    = "1.1.7"
	FlinkVersion    = "2.0.0"
	KafkaVersion    = "4.3.0"
)

var (
	compiler = []string{"org.eclipse.jdt:ecj:3.33.0"}

	// The same set as that of testbed's broker.
	connectExclude = []string{"org.slf4j:slf4j-reload4j"}
	connectJars    = []string{"org.apache.kafka:kafka_2.13:" + KafkaVersion, "org.apache.kafka:kafka-tools:" + KafkaVersion, "org.slf4j:slf4j-simple:1.7.36"}

	// A plugin of Connect must not bring the worker's own classes.
	debeziumJars    = []string{"io.debezium:debezium-connector-mysql:" + DebeziumVersion}
	debeziumExclude = []string{"org.apache.kafka:*", "org.slf4j:*"}

	// The newest release in the repository is of 2019. Its class path is changed so that it reads a MySQL 9 and writes to a Kafka 4: the clients
	// of both are today's.
	maxwellJars = []string{
		"com.zendesk:maxwell:" + MaxwellVersion, "org.apache.kafka:kafka-clients:" + KafkaVersion, "io.debezium:mysql-binlog-connector-java:0.40.6",
	}
	maxwellExclude = []string{"com.github.shyiko:mysql-binlog-connector-java"}

	canalJars = []string{"com.alibaba.otter:canal.parse:" + CanalVersion, "com.alibaba.otter:canal.protocol:" + CanalVersion, "com.alibaba.otter:connector.core:" + CanalVersion}

	flinkJars = []string{
		"org.apache.flink:flink-clients:" + FlinkVersion, "org.apache.flink:flink-table-api-java-bridge:" + FlinkVersion, "org.apache.flink:flink-table-runtime:" + FlinkVersion,
		"org.apache.flink:flink-table-planner-loader:" + FlinkVersion, "org.apache.flink:flink-connector-base:" + FlinkVersion,
		"org.apache.flink:flink-connector-files:" + FlinkVersion, "org.apache.flink:flink-json:" + FlinkVersion,
		"org.apache.flink:flink-sql-connector-kafka:4.0.1-2.0", "org.apache.flink:flink-sql-avro-confluent-registry:" + FlinkVersion,
		"org.slf4j:slf4j-simple:1.7.36",
	}
)
