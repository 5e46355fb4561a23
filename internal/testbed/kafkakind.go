package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
)

// KafkaKind names one of the Kafka versions that the project is tested against.
type KafkaKind string

// The versions, newest first.
const (
	Kafka43 KafkaKind = "kafka43" // Kafka 4.3.0
	Kafka39 KafkaKind = "kafka39" // Kafka 3.9.2, the last line before 4
)

// KafkaKinds lists every kind.
func KafkaKinds() []KafkaKind { return []KafkaKind{Kafka43, Kafka39} }

// ParseKafkaKind is the inverse of string(kind).
func ParseKafkaKind(s string) (KafkaKind, error) {
	for _, k := range KafkaKinds() {
		if string(k) == s {
			return k, nil
		}
	}
	return "", fmt.Errorf("unknown Kafka kind %q: one of %v", s, KafkaKinds())
}

// String is the name for messages: "kafka43".
func (k KafkaKind) String() string { return string(k) }

// Version is the version of the broker: "4.3.0".
func (k KafkaKind) Version() string {
	switch k {
	case Kafka43:
		return "4.3.0"
	case Kafka39:
		return "3.9.2"
	}
	return ""
}

// jars are broker, tools and Connect of the kind, which log to standard error.
func (k KafkaKind) jars() (jarSet, error) {
	v := k.Version()
	if v == "" {
		return jarSet{}, fmt.Errorf("unknown Kafka kind %q: one of %v", k, KafkaKinds())
	}
	return jarSet{
		name:        string(k),
		coordinates: []string{"org.apache.kafka:kafka_2.13:" + v, "org.apache.kafka:kafka-tools:" + v, "org.slf4j:slf4j-simple:1.7.36"},
		exclusions:  []string{"org.slf4j:slf4j-reload4j"}, // one binding is enough
	}, nil
}

// ProvisionKafka is Provision for Kafka: jars from Maven Central and a formatted
// storage folder to copy from.
func ProvisionKafka(ctx context.Context, w io.Writer, kinds ...KafkaKind) error {
	if len(kinds) == 0 {
		kinds = KafkaKinds()
	}
	for _, k := range kinds {
		if _, err := openKafka(ctx, w, k); err != nil {
			return err
		}
	}
	return nil
}

// VerifyKafka compares every jar of the kind with the checksum that it had when
// it was fetched.
func VerifyKafka(k KafkaKind) error {
	cache, err := CacheDir()
	if err != nil {
		return err
	}
	set, err := k.jars()
	if err != nil {
		return err
	}
	dir, head, err := set.place(cache)
	if err != nil {
		return err
	}
	if _, err := checkManifest(dir, head, true); err != nil {
		return fmt.Errorf("%s: %w", k, err)
	}
	return nil
}

// KafkaTool returns the command that runs a class of the kind's jars, such as
// org.apache.kafka.tools.consumer.ConsoleConsumer, with a small heap. What
// the class logs from warnings up goes to standard error.
func KafkaTool(ctx context.Context, k KafkaKind, class string, args ...string) (*exec.Cmd, error) {
	in, err := openKafka(ctx, nil, k)
	if err != nil {
		return nil, err
	}
	argv := in.java("128m", "warn", nil, class, args...)
	return exec.CommandContext(ctx, argv[0], argv[1:]...), nil
}

// kafkaInstallation is what all brokers of a kind share.
type kafkaInstallation struct {
	kind     KafkaKind
	cache    string
	program  string // path of java
	jars     string // folder
	template string // formatted storage folder
	archive  string // of a broker's loaded classes: a third less work at each start
}

// java is the command line of a class with its heap and log level; a later option of more wins.
func (in *kafkaInstallation) java(heap, level string, more []string, class string, args ...string) []string {
	argv := []string{
		in.program,
		"-Xms64m", "-Xmx" + heap,
		"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", // a quick start is worth more than speed later
		"-XX:-UsePerfData", // no file that a SIGKILL leaves in /tmp
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=" + level,
		"-Dorg.slf4j.simpleLogger.showDateTime=true",
		"-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
		// The settings of each part, hundreds of lines.
		"-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaConfig=warn",
		"-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
	}
	argv = append(argv, more...)
	return append(append(argv, "-cp", filepath.Join(in.jars, "*"), class), args...)
}

// openKafka fetches what is missing.
func openKafka(ctx context.Context, w io.Writer, k KafkaKind) (*kafkaInstallation, error) {
	set, err := k.jars()
	if err != nil {
		return nil, err
	}
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	in := &kafkaInstallation{kind: k, cache: cache}
	if in.program, err = exec.LookPath("java"); err != nil {
		return nil, errors.Join(need("java", "Kafka needs Java 17 or later (Debian: openjdk-17-jre-headless)"), err)
	}
	if in.jars, err = set.fetch(ctx, w); err != nil {
		return nil, err
	}
	log := &progress{w: w, name: string(k)}
	if in.template, err = in.format(ctx, log); err != nil {
		return nil, fmt.Errorf("%s: %w", k, err)
	}
	if in.archive, err = in.classes(ctx, log); err != nil {
		return nil, fmt.Errorf("%s: %w", k, err)
	}
	return in, nil
}
