package fault

import "sort"

// Codes by group: 1xxx configuration and command line, 2xxx source, 3xxx schemas, 4xxx binlog decoding, 5xxx sinks, 6xxx checkpoint,
// 7xxx pipeline, 8xxx transforms and formats, 9xxx comparisons and recovery. Numbers are for ever: add, never renumber.
const (
	ConfigSyntax   Code = 1001
	ConfigInvalid  Code = 1002
	ConfigSecret   Code = 1003
	UsageInvalid   Code = 1004
	ControlSocket  Code = 1005
	ConfigNotFound Code = 1006

	SourceUnreachable     Code = 2001
	SourceAccessDenied    Code = 2002
	SourceTLSRequired     Code = 2003
	SourceTLSVerify       Code = 2004
	SourceGrantMissing    Code = 2005
	SourceLogBinOff       Code = 2006
	SourceStatementFormat Code = 2007
	SourcePurged          Code = 2008
	SourcePhantom         Code = 2009
	SourceAhead           Code = 2010
	SourceOtherServer     Code = 2011
	SourceServerIDClash   Code = 2012
	SourceLost            Code = 2013
	SourceProtocol        Code = 2014
	SourceIncident        Code = 2015
	SourceSplitLost       Code = 2016
	SourceGTIDMode        Code = 2017
	SourcePositionUnknown Code = 2018
	SourceDomainMissing   Code = 2019
	SourceAuthPlugin      Code = 2020
	SourceRowFormat       Code = 2021
	SourceRollback        Code = 2022
	SourceCascades        Code = 2023
	SourceReset           Code = 2024

	// of a snapshot
	SnapshotWatermark  Code = 2030
	SnapshotRowImage   Code = 2031
	SnapshotEngine     Code = 2032
	SnapshotKeyless    Code = 2033
	SnapshotServer     Code = 2034
	SnapshotTable      Code = 2035
	SnapshotUnfinished Code = 2036
	SnapshotValue      Code = 2037
	SnapshotDefinition Code = 2038
	SnapshotCondition  Code = 2039
	SnapshotTwice      Code = 2040
	SnapshotLock       Code = 2041

	// of the Kafka source
	SourceTopicMissing     Code = 2060
	SourceTopicPurged      Code = 2061
	SourceTopicOther       Code = 2062
	SourcePartitions       Code = 2063
	SourceMessage          Code = 2064
	SourceMessageSchema    Code = 2065
	SourceMessageType      Code = 2066
	SourceTopicUnavailable Code = 2067
	SourceGroup            Code = 2068
	SourceShare            Code = 2069

	// of the relay
	RelayLocked      Code = 2080
	RelayDamaged     Code = 2081
	RelayBegins      Code = 2082
	RelayPurged      Code = 2083
	RelayDiskFull    Code = 2084
	RelayOther       Code = 2085
	RelaySemiSync    Code = 2086
	RelayWrite       Code = 2087
	RelayStillNeeded Code = 2088

	RelayArchive        Code = 2089
	RelayArchiveDamaged Code = 2090

	SchemaUnknown     Code = 3001
	SchemaDDL         Code = 3002
	SchemaMismatch    Code = 3003
	SchemaFence       Code = 3004
	SchemaDumpInvalid Code = 3005

	BinlogTruncated    Code = 4001
	BinlogChecksum     Code = 4002
	BinlogMalformed    Code = 4003
	BinlogUnknownEvent Code = 4004
	BinlogPayloadLimit Code = 4005
	BinlogRowLimit     Code = 4006
	BinlogEncrypted    Code = 4007
	BinlogNotABinlog   Code = 4008
	BinlogXASpool      Code = 4009
	BinlogCharset      Code = 4010

	SinkWrite      Code = 5001
	SinkDiskFull   Code = 5002
	SinkConflict   Code = 5003
	SinkIntent     Code = 5004
	SinkPathTooBig Code = 5005
	SinkClosed     Code = 5006
	SinkLocked     Code = 5007
	SinkBehind     Code = 5008
	SinkPlace      Code = 5009
	SinkPlaceLogin Code = 5010
	SinkPlaceUnfit Code = 5011
	SinkNotLines   Code = 5012
	SinkMoved      Code = 5013
	SinkAltered    Code = 5014
	SinkUpkeep     Code = 5015

	// of the Kafka sink
	SinkUnreachable    Code = 5101
	SinkAccessDenied   Code = 5102
	SinkTLSVerify      Code = 5103
	SinkGrantMissing   Code = 5104
	SinkTopicMissing   Code = 5105
	SinkTopicName      Code = 5106
	SinkTopicGone      Code = 5107
	SinkRecordTooLarge Code = 5108
	SinkOrder          Code = 5109
	SinkRefused        Code = 5110
	SinkDeadLetter     Code = 5111
	SinkVersion        Code = 5112
	SinkFenced         Code = 5113
	SinkPartition      Code = 5114

	// of the schema registry
	RegistryUnreachable  Code = 5121
	RegistryAccessDenied Code = 5122
	RegistryTLSVerify    Code = 5123
	RegistryIncompatible Code = 5124
	RegistryRefused      Code = 5125
	RegistryMissing      Code = 5126

	// of the MySQL sink
	TargetUnreachable   Code = 5201
	TargetAccessDenied  Code = 5202
	TargetTLSRequired   Code = 5203
	TargetTLSVerify     Code = 5204
	TargetAuthPlugin    Code = 5205
	TargetProtocol      Code = 5206
	TargetLost          Code = 5207
	TargetGrantMissing  Code = 5208
	TargetTableMissing  Code = 5209
	TargetColumn        Code = 5210
	TargetConflict      Code = 5211
	TargetRefused       Code = 5212
	TargetReadOnly      Code = 5213
	TargetDDL           Code = 5214
	TargetGTID          Code = 5215
	TargetTrigger       Code = 5216
	TargetPacket        Code = 5217
	TargetShared        Code = 5218
	TargetBusy          Code = 5219
	TargetImage         Code = 5220
	TargetStatementText Code = 5221
	TargetCreate        Code = 5222
	TargetCascade       Code = 5223

	CheckpointLocked   Code = 6001
	CheckpointCorrupt  Code = 6002
	CheckpointDiskFull Code = 6003
	CheckpointVersion  Code = 6004
	CheckpointStream   Code = 6005
	CheckpointMissing  Code = 6006
	CheckpointIO       Code = 6007
	CheckpointExists   Code = 6008
	ImportUnreadable   Code = 6009
	ImportCopying      Code = 6010
	ImportPlace        Code = 6011
	StateFenced        Code = 6012
	StateUnreachable   Code = 6013
	StateTopic         Code = 6014
	StateStandby       Code = 6015
	StateHandover      Code = 6016

	PipelineMemory   Code = 7001
	PipelineInternal Code = 7002
	PipelineStopped  Code = 7003
	PipelineCheck    Code = 7004
	PipelineAdmin    Code = 7005

	FormatValue    Code = 8001
	TransformError Code = 8002
	TransformTable Code = 8003
	TransformRoute Code = 8004
	TransformLimit Code = 8005
	DeadLetterSave Code = 8006
	DeadLetterLeft Code = 8007

	VerifyDiffers Code = 9001
	VerifyPart    Code = 9002
	VerifyBehind  Code = 9003
	VerifyServer  Code = 9004
	VerifyReport  Code = 9005

	RecoveryDDL      Code = 9101
	RecoveryImage    Code = 9102
	RecoveryTable    Code = 9103
	RecoverySpace    Code = 9104
	RecoveryConflict Code = 9105
	RecoveryApply    Code = 9106
	RecoveryEmpty    Code = 9107
	RecoveryGap      Code = 9108
	RecoveryUnmet    Code = 9109
	RecoveryStopped  Code = 9110
	RecoveryBegun    Code = 9111

	// of the current rows of tables, merged of files
	MaterializeFormat    Code = 9121
	MaterializeBeginning Code = 9122
	MaterializeKey       Code = 9123
	MaterializeColumns   Code = 9124
	MaterializeFolder    Code = 9125
	MaterializeOrder     Code = 9126
	MaterializeWrite     Code = 9127
)

// Description is a line of the error reference.
type Description struct {
	Code    Code
	Class   Class
	Summary string // what it means
	Cure    string // what to do next, in general; Error.Next may know better
}

// Describe gives the reference line of a code.
func Describe(c Code) (Description, bool) {
	i := sort.Search(len(descriptions), func(i int) bool { return descriptions[i].Code >= c })
	if i < len(descriptions) && descriptions[i].Code == c {
		return descriptions[i], true
	}
	return Description{Code: c}, false
}

// All gives every description in the order of the codes. The caller must not change it.
func All() []Description { return descriptions[:] }

// descriptions is sorted by code (a test sees to it) and never changes at run time.
var descriptions = [...]Description{
	{ConfigSyntax, Fatal, "the configuration is not valid YAML, or has an unknown or mistyped field", "mend the lines named; `cdc config check FILE` lists all faults, `cdc config schema` prints a JSON Schema for editors"},
	{ConfigInvalid, Fatal, "a setting has a value that cannot work", "mend the settings named and run `cdc config check FILE` again"},
	{ConfigSecret, Fatal, "a password or key could not be read from its file or environment variable", "check the path or the variable named, and that this user may read it"},
	{UsageInvalid, Fatal, "the command line is wrong", "see `cdc help COMMAND` for its flags and an example"},
	{ControlSocket, Fatal, "the control socket of a running pipeline could not be used", "check that the pipeline runs and that you are the same user"},
	{ConfigNotFound, Fatal, "the configuration file cannot be read", "check the path and that this user may read it"},

	{SourceUnreachable, Retry, "the source does not answer", "check address, port, firewall, and that the server runs"},
	{SourceAccessDenied, Fatal, "the source refused user or password", "check user and password; the account must exist for the host that cdc connects from"},
	{SourceTLSRequired, Fatal, "TLS was asked for and the server does not offer it", "turn TLS on at the server, or set tls.mode: disabled if the network is trusted"},
	{SourceTLSVerify, Fatal, "the server's certificate could not be verified", "set tls.ca to the authority that signed it; tls.mode: verify-ca leaves the host name unchecked"},
	{SourceGrantMissing, Fatal, "the account lacks a privilege", "grant it as the message shows"},
	{SourceLogBinOff, Fatal, "the source writes no binlog", "start the server with log_bin, and binlog_format=ROW"},
	{SourceStatementFormat, Fatal, "a change of a captured table was logged as a statement, so its rows are unknown", "SET GLOBAL binlog_format=ROW and reconnect all sessions; then take the table anew or step over the transaction"},
	{SourcePurged, Fatal, "the source has purged binlogs that are needed to go on", "use another server that still has them, or start the stream anew with a snapshot; nothing is skipped by itself"},
	{SourcePhantom, Fatal, "the checkpoint holds transactions that this source never had", "they were lost in a failover: find them in the old primary, then reset the checkpoint by `cdc checkpoint set`"},
	{SourceAhead, Fatal, "the checkpoint is ahead of the source: the server lost commits", "the server was restored or crashed without sync_binlog=1; compare the data, then reset the checkpoint by `cdc checkpoint set`"},
	{SourceOtherServer, Fatal, "another server answers at this address and the position cannot be carried over to it", "check the address; without GTIDs a file and position are of one server only"},
	{SourceServerIDClash, Fatal, "another replica uses the same server id", "set source.mysql.server_id to a number that no replica and no server of this topology uses"},
	{SourceLost, Retry, "the connection to the source broke", "none: cdc reconnects by itself; check the network if it happens often"},
	{SourceProtocol, Fatal, "the source sent something that the replication protocol does not allow", "check that address is a MySQL or MariaDB server and that no proxy changes the traffic"},
	{SourceIncident, Fatal, "the source logged an incident event: its binlog has a gap", "the server lost events; take the tables anew, then set the checkpoint behind the incident"},
	{SourceSplitLost, Fatal, "a transaction that was handed over in part is no longer on the source", "the sinks drop the half; find out what happened to the source's binlog"},
	{SourceGTIDMode, Fatal, "GTIDs are needed here and the source's gtid_mode is not ON", "turn gtid_mode ON, or start from a file and position"},
	{SourcePositionUnknown, Fatal, "the source does not know the position asked for", "look at SHOW BINARY LOGS on the source"},
	{SourceDomainMissing, Fatal, "the checkpoint says nothing about a GTID domain that the source has", "add the domain's position by `cdc checkpoint set`, or all of that domain would be sent again"},
	{SourceAuthPlugin, Fatal, "the server asks for a way of logging in that is not safe or not known", "use caching_sha2_password, ed25519 or mysql_native_password, and TLS for a clear-text one"},
	{SourceRowFormat, Fatal, "the source does not write row format", "SET GLOBAL binlog_format=ROW (SET PERSIST on MySQL 8.0 and later)"},
	{SourceRollback, Fatal, "a transaction that was handed over in part was rolled back in the binlog", "step over this transaction by `cdc checkpoint set` and take its tables anew; raising memory makes batches larger, up to 2 MiB"},
	{SourceCascades, Fatal, "foreign keys change rows of captured tables below the binlog, so that those changes would be missing", "make the constraints RESTRICT, leave the tables out, or accept it by source.accept_unlogged_cascades"},
	{SourceReset, Fatal, "the source's binlogs were reset, and its transactions are counted anew", "what was committed between the last transaction read and the reset is in no binlog: compare the data, then reset the checkpoint by `cdc checkpoint set`, or begin a new one"},
	{SnapshotWatermark, Fatal, "a snapshot needs GTIDs, by which it knows which changes its rows hold already", "turn gtid_mode ON and leave source.mysql.gtid at auto; or take snapshot_way: classic, which needs a short lock"},
	{SnapshotRowImage, Fatal, "the source logs less than whole rows, so that a snapshot's rows and changes cannot be put together", "SET PERSIST binlog_row_image=FULL and binlog_row_value_options='' (SET GLOBAL before MySQL 8.0), and let old sessions end"},
	{SnapshotEngine, Fatal, "a table's engine has no consistent reads, so that its rows cannot be copied without a lock", "ALTER TABLE .. ENGINE=InnoDB; or take snapshot_way: classic with snapshot_lock: {tables: true}; or leave the table out of source.tables"},
	{SnapshotKeyless, Fatal, "a table without a key was written each time that its copy was to begin", "give it a primary key, or run the snapshot while nothing writes it"},
	{SnapshotServer, Retry, "the snapshot's connection reaches another server than the stream's", "let source.address name one server, and not several behind one name"},
	{SnapshotTable, Fatal, "the rows of a table do not fit what the stream knows of its columns", "see `cdc schema show FILE STREAM TABLE`; GRANT SELECT on the table, or leave it out of source.tables"},
	{SnapshotUnfinished, Fatal, "the checkpoint holds a snapshot that is not finished, and the configuration wants none", "set snapshot: initial to finish it, or give the stream another name and a new target"},
	{SnapshotValue, Fatal, "the server sent a value in a snapshot that is not understood", "report the table's definition; leave the table out of source.tables until then"},
	{SnapshotDefinition, Retry, "how a table is made could not be read, since a statement was changing it", "none: it is read again when the statement is over"},
	{SnapshotCondition, Fatal, "the condition for the rows of a snapshot is refused", "give --where one SQL condition over columns of each table, as it stands behind WHERE, with no comment in it"},
	{SnapshotTwice, Fatal, "rows of a table without a key would come into the target a second time", "give the table a primary key; or empty it at the target, and copy it by a stream with a name of its own"},
	{SnapshotLock, Retry, "the lock under which a classic snapshot begins was not given in time", "look for statements and transactions that run long on the source (SHOW PROCESSLIST), raise snapshot_lock.wait, or take snapshot_way: chunks, which needs no lock"},

	{SourceTopicMissing, Fatal, "a topic that shall be read does not exist, or its partitions cannot be read", "check source.kafka.topics and the account's right to read and describe the topic"},
	{SourceTopicPurged, Fatal, "a topic has no longer the records at which reading shall go on", "changes are gone: set a longer retention.ms, and begin anew with a snapshot into new topics; nothing is skipped by itself"},
	{SourceTopicOther, Fatal, "a topic is another one than that which the checkpoint is of, or lost its end", "find out who deleted it or which broker lost it; then begin the stream anew, with a new checkpoint and target"},
	{SourcePartitions, Fatal, "a topic has other partitions than before, so that changes of one key may be in two of them and come in any order", "begin the stream anew with new topics, or, where all that was written before is applied, set source.kafka.new_partitions: read"},
	{SourceMessage, Fatal, "a message of a change topic is not understood", "read only topics that Debezium or the Kafka sink of cdc has written with format debezium; the message shows partition and offset"},
	{SourceMessageSchema, Fatal, "a message of a change topic does not say the types of its values", "let the writer include the schema: schemas_enable: true for cdc, value.converter.schemas.enable=true and key.converter.schemas.enable=true for Debezium"},
	{SourceMessageType, Fatal, "a value of a message cannot be taken exactly", "see the message; docs/scaling-out.md lists the types and the settings of the writer that they need"},
	{SourceTopicUnavailable, Retry, "a partition cannot be read at present", "none: it is tried again; check the brokers if it lasts"},
	{SourceGroup, Fatal, "the consumer group does not take this process", "give all its processes the same source.kafka.group and topics, and the group a name that no other program uses; for session_timeout see group.min.session.timeout.ms of the brokers"},
	{SourceShare, Retry, "another process has not given up a share of the topics yet", "none: it is tried again; if it lasts, find the process that the error names, which no longer answers, and end it"},
	{RelayLocked, Fatal, "another process writes the relay", "stop it, or give each pipeline a relay folder of its own"},
	{RelayDamaged, Fatal, "the relay's files are damaged, or some are missing", "see `cdc relay verify FILE`; if the source still has what the streams need, `cdc relay purge FILE --all` begins the relay anew"},
	{RelayBegins, Fatal, "the relay does not reach back to the place that the stream goes on from", "if the source still has it, `cdc relay purge FILE --all` begins the relay anew at the oldest place of the streams; else use relay files from a backup, or a snapshot"},
	{RelayPurged, Fatal, "the relay had to remove files that the stream had not carried yet, since it may not be larger than max_size", "raise relay.max_size; if the source still has the binlogs, `cdc relay purge FILE --all` begins the relay anew; else a new snapshot"},
	{RelayDiskFull, Retry, "no space is left where the relay is written", "free space: reading waits, nothing is lost, and goes on by itself"},
	{RelayOther, Fatal, "the relay cannot be continued from this server", "check the address; `cdc relay purge FILE --all` begins the relay anew"},
	{RelaySemiSync, Fatal, "semi_sync is set, and the source does not wait for replicas", "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so' and SET PERSIST rpl_semi_sync_source_enabled=ON (before MySQL 8.0.26: rpl_semi_sync_master, semisync_master.so; MariaDB: SET GLOBAL rpl_semi_sync_master_enabled=ON); or leave relay.semi_sync out"},
	{RelayWrite, Retry, "the relay could not be written", "see the cause; reading goes on from what is durable"},
	{RelayStillNeeded, Fatal, "a stream has not carried yet what would be removed, or it is not archived yet", "wait for the stream; or name the files that may go, or --all with the pipeline stopped"},
	{RelayArchive, Retry, "a file of the relay could not be archived", "see the cause: it stays in the relay, and is tried again; mind the free space"},
	{RelayArchiveDamaged, Retry, "a file in the relay's archive is not what was sent", "`cdc relay archive FILE --verify` names such files; one that the relay still has is sent again once it was removed from the archive"},
	{SchemaUnknown, Fatal, "the columns of a table are not known for this moment of the binlog", "SET PERSIST binlog_row_metadata=FULL on the source, or say what the table was by `cdc schema set FILE STREAM TABLE`; for files by --schema-dump"},
	{SchemaDDL, Fatal, "a DDL statement on a captured table was not understood", "`cdc schema set FILE STREAM TABLE` with the table as it is after that statement, or SET PERSIST binlog_row_metadata=FULL"},
	{SchemaMismatch, Fatal, "the row does not fit the columns known for the table", "compare `cdc schema show FILE STREAM TABLE` with the table; `cdc schema set FILE STREAM TABLE` puts it right"},
	{SchemaFence, Retry, "the tables changed while they were being read", "none: it is read again"},
	{SchemaDumpInvalid, Fatal, "the schema dump holds a statement that is not understood", "use mysqldump --no-data --skip-triggers output, or only CREATE TABLE statements"},

	{BinlogTruncated, Fatal, "a binlog file ends in the middle of an event", "copy the file again; a file that is still being written can be followed from the live server"},
	{BinlogChecksum, Fatal, "the checksum of an event does not match: the bytes were damaged", "check disk and network; read the file from another replica"},
	{BinlogMalformed, Fatal, "an event is malformed", "check that the file is whole (mysqlbinlog --verify-binlog-checksum); if it is, report it with the event"},
	{BinlogUnknownEvent, Fatal, "an event of an unknown type that may not be ignored", "this server version writes something new: upgrade cdc"},
	{BinlogPayloadLimit, Fatal, "a compressed payload is larger than the limit or than it declares", "raise max_payload of the source if the transaction is real"},
	{BinlogRowLimit, Data, "a single row is larger than max_row", "raise max_row, or leave the table or its large columns out"},
	{BinlogEncrypted, Fatal, "the binlog file is encrypted", "read it from the live server, which decrypts it"},
	{BinlogNotABinlog, Fatal, "the file is not a binlog", "give a binlog file as named by SHOW BINARY LOGS"},
	{BinlogXASpool, Fatal, "the rows of a prepared XA transaction are not in the spool", "restore the spool folder beside the checkpoint, or take the tables anew"},
	{BinlogCharset, Data, "a text value is not valid in its column's character set", "the value is kept as raw bytes where the format allows; repair the row on the source"},

	{SinkWrite, Retry, "the sink could not write", "see the cause"},
	{SinkDiskFull, Retry, "no space is left where the files are written", "free space: writing goes on by itself and nothing is lost"},
	{SinkConflict, Fatal, "a file that should be published exists already with other contents", "another process writes to the same place, or files were put there by hand: use a folder of its own for each stream"},
	{SinkIntent, Fatal, "the intent of an unfinished publication cannot be read or does not match the files", "do not delete files by hand; restore the folder, or start the stream in a new one"},
	{SinkPathTooBig, Fatal, "a path made from table names is too long for the file system", "shorten the output folder"},
	{SinkClosed, Fatal, "the sink was closed", "none: it follows another error"},
	{SinkLocked, Fatal, "another process writes to the same place", "stop it, or give each stream a folder of its own"},
	{SinkBehind, Fatal, "the checkpoint is ahead of what the sink holds", "the folder is an older copy or another one: restore it, or set the checkpoint back by `cdc checkpoint set`, or start in a new folder"},
	{SinkPlace, Retry, "the place of the files does not answer as it should", "check its address, the firewall, and that it runs (HDFS: not in safe mode); cdc goes on by itself when it answers"},
	{SinkPlaceLogin, Fatal, "the place of the files refused the account, or there is no such bucket", "check the credentials and, by the message, what they may do: docs/files-sink.md lists the rights that the sink needs"},
	{SinkPlaceUnfit, Fatal, "the place of the files cannot keep the promise of each change once", "use a store that refuses to replace when it is asked to: S3 with If-None-Match for PUT and for completing uploads, HDFS 2.7 or later"},
	{SinkNotLines, Fatal, "the folder has files that are not JSON lines", "read them with a reader of their format: what reads a folder of cdc takes the formats plain, debezium, maxwell and canal"},
	{SinkMoved, Retry, "another process has published in the place of the files since this one looked at it", "cdc begins anew with what is there now; stop one of the two where both are to write there"},
	{SinkAltered, Fatal, "published files are not as their manifests say", "`cdc files verify` names them: restore those from a copy, and find out who changes or moves files of the folder"},
	{SinkUpkeep, Fatal, "another process merges or removes files of the same place", "wait until it has ended: one at a time looks after a place, be it `cdc files compact`, `cdc files expire` or a stream with retain"},

	{SinkUnreachable, Retry, "no broker answers", "check the addresses, the firewall, and that the brokers run; cdc goes on by itself when one answers"},
	{SinkAccessDenied, Fatal, "the broker refused the login", "check sasl.mechanism, user and password, and that the listener offers that mechanism"},
	{SinkTLSVerify, Fatal, "the broker's certificate could not be verified, or it does not speak TLS", "set tls.ca to the authority that signed it, and use host names that the certificate is for (brokers also name each other: advertised.listeners)"},
	{SinkGrantMissing, Fatal, "the account may not do what the sink needs", "grant it by kafka-acls as the message shows"},
	{SinkTopicMissing, Fatal, "a topic does not exist and is not created", "create it by kafka-topics as the message shows"},
	{SinkTopicName, Fatal, "the topic of a table cannot be used: its name is not allowed, or it is that of another table", "give the table another topic by a route transform, or change the sink's topic"},
	{SinkTopicGone, Fatal, "a topic was deleted, truncated or made anew, and what was acknowledged is gone with it", "find out who did it. `cdc checkpoint set FILE STREAM --to PLACE --yes` goes back and writes it again; `--accept-target` goes on without it"},
	{SinkRecordTooLarge, Data, "a record is larger than its topic allows", "raise max.message.bytes of the topic, or set oversize: dead_letter, or leave large columns out"},
	{SinkOrder, Fatal, "the broker's log does not go on where it acknowledged the last batch", "the cluster lost acknowledged records, as by an unclean leader election: compare topic and source; `cdc run` goes on at the checkpoint"},
	{SinkRefused, Fatal, "the broker refused a batch for a reason that does not go away", "see the broker's log and the topic's settings"},
	{SinkDeadLetter, Fatal, "a change was set aside and there is no topic for it", "set dead_letter.topic, or on_error: stop of the transform"},
	{SinkVersion, Fatal, "the brokers are too old", "use Kafka 2.4 or later"},
	{SinkFenced, Fatal, "another process writes to Kafka under the transactional id of this stream", "stop one of the two; where they are different streams, give each its own transactional_id"},
	{SinkPartition, Fatal, "to which partition a row belongs cannot be told", "mend partition_columns, or have the source log whole rows: binlog_row_image=FULL, binlog_row_value_options=''"},

	{RegistryUnreachable, Retry, "the schema registry does not answer", "check schema_registry.urls, the firewall, and that it runs; cdc goes on by itself when it answers"},
	{RegistryAccessDenied, Fatal, "the schema registry refused the account, or what it asked for", "check schema_registry.user and password or token, and that the account may read and register schemas of the subject"},
	{RegistryTLSVerify, Fatal, "the schema registry's certificate could not be verified, or it does not speak TLS", "set schema_registry.tls.ca to the authority that signed it, and use a host name that the certificate is for"},
	{RegistryIncompatible, Fatal, "the schema of a table is not compatible with those of its subject", "set debezium-avro's avro.optional: all before a change of the table; now: lower the subject's compatibility level for this change, or set schema_registry.incompatible: new_subject"},
	{RegistryRefused, Fatal, "the schema registry refused a request for a reason that does not go away", "see its answer and its log"},
	{RegistryMissing, Fatal, "a schema is not in the registry, and none is to be registered", "register it, or set schema_registry.register: true"},

	{TargetUnreachable, Retry, "the target server cannot be reached", "check address and firewall, and that the server runs; cdc goes on by itself when it answers"},
	{TargetAccessDenied, Fatal, "the target server refused the login", "check user and password; the account must exist for the host that cdc connects from"},
	{TargetTLSRequired, Fatal, "the target server and the configuration do not agree about TLS", "set tls.mode to what the server offers"},
	{TargetTLSVerify, Fatal, "the target server's certificate could not be verified", "set tls.ca to the authority that signed it, or tls.server_name to the name that the certificate is for"},
	{TargetAuthPlugin, Fatal, "the target server asks for a way of logging in that is not safe or not known", "use caching_sha2_password, ed25519 or mysql_native_password, and TLS for a clear-text one"},
	{TargetProtocol, Fatal, "the target server's answer was not understood", "see the cause; is it MySQL 5.7 or later, or MariaDB 10.5 or later?"},
	{TargetLost, Retry, "the connection to the target server was lost", "cdc connects again by itself and applies what was not committed"},
	{TargetGrantMissing, Fatal, "the account may not do at the target what the sink needs", "grant it: `cdc check --grants` prints the statements"},
	{TargetTableMissing, Fatal, "a table does not exist at the target", "create it there with the columns of the source, or let the sink replicate DDL from the table's creation on, or route the table to another name"},
	{TargetColumn, Fatal, "a table of the target lacks a column of the source, or has one that cannot take its values", "change the table at the target, or leave the column out by a project transform"},
	{TargetConflict, Fatal, "a row at the target is not what the source's change expects: it is there already, or it is missing", "find out who wrote to the target; then correct the row, or set on_conflict, or step over this change by `cdc skip`"},
	{TargetRefused, Fatal, "the target server refused a change", "see its error; correct the table at the target, or step over this transaction by `cdc skip`"},
	{TargetReadOnly, Retry, "the target server is read-only", "make it writable, or give the account the right to write all the same; cdc goes on by itself"},
	{TargetDDL, Fatal, "a DDL statement cannot be carried out at the target", "carry it out there by hand as the message shows, then step over it by `cdc skip`, or set ddl: ignore"},
	{TargetGTID, Fatal, "the target cannot keep the source's GTIDs", "set gtid_mode=ON at the target and grant the right to set gtid_next, or set exactly_once: table"},
	{TargetTrigger, Fatal, "a table of the target has triggers, which would carry out again what the source's triggers did", "drop them at the target, or set triggers: accept where they do something else"},
	{TargetPacket, Fatal, "a row is larger than max_allowed_packet of the target", "raise max_allowed_packet there"},
	{TargetShared, Fatal, "another stream has applied transactions of this source to the target", "give each stream exactly_once: table, or join them into one stream"},
	{TargetBusy, Retry, "a transaction did not get its locks at the target", "see who holds them; cdc tries again by itself"},
	{TargetImage, Fatal, "a change lacks columns that are needed to apply it", "set binlog_row_image=FULL at the source, or give the table a primary key"},
	{TargetStatementText, Fatal, "a value cannot be written as SQL for the target", "see the cause; leave the column out by a project transform, or step over this transaction by `cdc skip`"},
	{TargetCreate, Fatal, "a table of the source cannot be made at the target", "make it there by hand as the message shows: a table that is there with the columns that are needed is left as it is; or leave it out of the stream"},
	{TargetCascade, Fatal, "the target has to change rows by its own foreign keys, and was seen to leave some of them undone", "set innodb_native_foreign_keys=ON in the target's option file and restart it (MySQL 9.6 and later; it is OFF by default); a source that logs cascades needs it not"},

	{CheckpointLocked, Fatal, "another process uses this checkpoint folder", "stop it, or give each pipeline a folder of its own"},
	{CheckpointCorrupt, Fatal, "the checkpoint is damaged and no whole copy of it is left", "restore the folder from a backup, or set the position by `cdc checkpoint set`; cdc never starts from now by itself"},
	{CheckpointDiskFull, Retry, "too little free space for the checkpoint", "free space on that file system; reading goes on by itself"},
	{CheckpointVersion, Fatal, "the checkpoint was written by a newer version", "use that version, or restore an older copy"},
	{CheckpointStream, Fatal, "the checkpoint belongs to another source or another choice of tables", "use another checkpoint folder, or accept the change by `cdc checkpoint set`"},
	{CheckpointMissing, Fatal, "there is no checkpoint for this stream", "run the stream once, or `cdc checkpoint set`"},
	{CheckpointIO, Fatal, "the checkpoint could not be read or written", "see the cause"},
	{CheckpointExists, Fatal, "the stream has a checkpoint already", "--replace drops it, with all that is kept of the stream; `cdc checkpoint export` saves it first"},
	{ImportUnreadable, Fatal, "where another program keeps its place could not be read", "check that it is the file, topic or table that docs/migration.md names for this program"},
	{ImportCopying, Fatal, "the other program has not finished copying whole tables", "let it finish, then stop it; or begin the stream anew with snapshot: initial"},
	{ImportPlace, Fatal, "the place of the other program is not certain", "see the message: name the server that it read, or say by --by which half of its place to believe"},
	{StateFenced, Fatal, "another process has taken over this pipeline", "nothing, where that is what was wanted: start this one again and it stands by; otherwise stop one of the two"},
	{StateUnreachable, Retry, "the brokers that keep the pipeline's state do not answer, or not well", "see the cause; it is tried again"},
	{StateTopic, Fatal, "the topic of the pipeline's state cannot be used", "see the message"},
	{StateStandby, Fatal, "this process stands by: another one is the owner of the pipeline", "give the order to the owner, on its machine; for a place that is set by hand stop all processes of the pipeline first"},
	{StateHandover, Retry, "what the former owner of the pipeline held is not free yet", "none: it is tried again; if it lasts, find the process that the error names, which no longer answers, and end it"},

	{PipelineMemory, Fatal, "one row needs more memory than the budget", "raise memory, or lower max_row"},
	{PipelineInternal, Fatal, "an invariant does not hold", "report it with the log; the checkpoint was not moved"},
	{PipelineStopped, Fatal, "a stream of the pipeline has failed", "see the error it names"},
	{PipelineCheck, Fatal, "the check before the start found what a run would stop at", "`cdc check FILE` lists each with its cure; `cdc run --no-check` starts all the same"},
	{PipelineAdmin, Fatal, "the admin address could not be listened at", "choose another address or port in admin.listen"},

	{FormatValue, Data, "a value cannot be said in this format without changing it", "choose another mode of the format, as named in its page"},
	{TransformError, Data, "a transform failed on a row", "mend the transform, or let such rows go to the dead letters by on_error: dead_letter"},
	{TransformTable, Fatal, "a transform does not fit a table", "mend the transform, or narrow it to other tables, as the message shows"},
	{TransformRoute, Fatal, "two tables that are routed to one name differ", "make their columns equal, route them to different names, or allow it by columns: any"},
	{TransformLimit, Data, "an expression made a value larger than allowed, or took more work for a row", "write it so that it makes or reads less, or let such rows go to the dead letters by on_error: dead_letter"},
	{DeadLetterSave, Retry, "a dead letter could not be written", "free space or mend the folder named; nothing is acknowledged before it is written"},
	{DeadLetterLeft, Data, "dead letters could not be replayed", "the list says why of each; mend the step or the limit that set the change aside, and replay again, or copy the rows as they are now by `cdc snapshot --tables`"},

	{VerifyDiffers, Fatal, "rows of the target differ from the source", "the report names each of them; `cdc verify --repair` prints the statements that put them right, `--repair --apply` carries them out"},
	{VerifyPart, Fatal, "a table could not be compared, or not as a whole", "the report says why; `--tables` chooses others"},
	{VerifyBehind, Fatal, "the target did not reach the source's place in time", "start the stream, or wait until it has caught up: `cdc status` shows how far behind it is"},
	{VerifyServer, Fatal, "a server gave an answer that a comparison cannot go on with", "see the message; is it MySQL 5.7 or later, or MariaDB 10.11 or later?"},
	{VerifyReport, Fatal, "the report could not be written", "free space, or choose another file by --report"},

	{RecoveryDDL, Fatal, "a table was changed by a statement between the changes that should be undone", "choose a range without the statement, or undo it by hand first and then use --across-ddl; rows that DROP or TRUNCATE took away come only from a backup"},
	{RecoveryImage, Fatal, "a change cannot be undone from what was logged of it", "leave it out by a filter, or take the rows from a backup; binlog_row_image=FULL logs what is needed, from then on"},
	{RecoveryTable, Fatal, "changes of this kind of table cannot be undone", "leave the table out by --tables"},
	{RecoverySpace, Fatal, "what has to be kept for the way back could not be written or read", "free space, or choose another folder by --temp"},
	{RecoveryConflict, Fatal, "a row is not any more what the change that should be undone has left", "see who changed it since: `cdc history`; then --on-conflict skip or report leaves such rows as they are"},
	{RecoveryApply, Fatal, "the server refused a statement that undoes a change", "see its error; nothing was committed since the place that the message names"},
	{RecoveryEmpty, Fatal, "no change was chosen", "widen the range or the filters; `cdc analyze` with the same range shows what is there"},
	{RecoveryGap, Fatal, "transactions are missing between what the target has and the first binlog file", "give the files before it too; or say by --from where to begin, if they are not wanted"},
	{RecoveryUnmet, Fatal, "a transaction that a replay should leave out, or end in front of, is not there to be left out", "see its GTID with `cdc analyze`; nothing was carried"},
	{RecoveryStopped, Fatal, "a replay was stopped before its end", "run the same command again: it goes on where it stopped"},
	{RecoveryBegun, Fatal, "a replay with other choices was begun, or has ended", "run it as it was begun; or begin anew by --restart, with a target that has none of its changes"},

	{MaterializeFormat, Fatal, "the files do not hold what current rows can be made of: they are not Parquet, were written by an older version, or are damaged", "write files of the format parquet, into a new folder; `cdc files verify` finds damaged ones"},
	{MaterializeBeginning, Fatal, "the changes of a table do not begin with its creation or with a complete snapshot, or some of their files are gone", "wait for the snapshot, or write a folder with `snapshot: initial`; --from-empty takes the table to have been empty before"},
	{MaterializeKey, Fatal, "rows of a table cannot be told apart by what the files hold: it has no key, or keeps old versions of its rows", "give it a primary key, or leave it out by --tables"},
	{MaterializeColumns, Fatal, "a statement changed rows in a way that no file holds, and they were not written since", "snapshot the table anew (`cdc snapshot`), and merge again when that is over; after statements that remove rows write a new folder with `snapshot: initial`"},
	{MaterializeFolder, Fatal, "the folder for the current rows is not one, is in use, is damaged, or was made of other files or other tables", "give a new folder, or the choices that it was begun with"},
	{MaterializeOrder, Fatal, "the files do not say whether rows came before or after a statement: the stream changed to another server between them", "write a new folder with `snapshot: initial`, and merge that"},
	{MaterializeWrite, Fatal, "the current rows could not be written", "free space or repair the folder, then run the same command again: readers have what they had"},
}
