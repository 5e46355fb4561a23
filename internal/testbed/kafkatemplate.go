package testbed

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// kafkaTemplateVersion changes when what a template holds changes.
const kafkaTemplateVersion = "1"

// format returns a storage folder as Kafka's storage tool formats it, with the
// user for SCRAM-SHA-256 and SCRAM-SHA-512, to be copied for each node: the tool
// takes as long as a broker's start. It is made once per installation.
func (in *kafkaInstallation) format(ctx context.Context, log *progress) (string, error) {
	dir := filepath.Join(in.cache, "templates", filepath.Base(in.jars)+"-"+kafkaTemplateVersion)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	unlock, err := lockFile(ctx, dir+".lock", func() { log.printf("waiting for another process that is formatting the storage folder") })
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
	properties := dir + ".properties"
	text := "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:1\nlisteners=CONTROLLER://127.0.0.1:1,PLAINTEXT://127.0.0.1:2\n" +
		"controller.listener.names=CONTROLLER\nlistener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\nlog.dirs=" + work + "\n"
	if err := os.WriteFile(properties, []byte(text), 0o600); err != nil {
		return "", err
	}
	defer os.Remove(properties)
	args := []string{"format", "--cluster-id", randomID(), "--config", properties}
	for _, m := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", m, User, Password))
	}
	argv := in.java("128m", "warn", nil, "kafka.tools.StorageTool", args...)
	step := log.step("formatting a storage folder")
	_, err = run(ctx, argv[0], argv[1:]...)
	step(err, dirSize(work))
	if err != nil {
		return "", fmt.Errorf("format a storage folder: %w", err)
	}
	return dir, os.Rename(work, dir)
}

// classes returns the archive of the classes that a broker loads, which the virtual
// machine maps instead of reading and verifying them. A broker is run once for it; another Java
// than the one that made it does not use it and says so in the node's log.
func (in *kafkaInstallation) classes(ctx context.Context, log *progress) (string, error) {
	file := in.template + ".jsa"
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	unlock, err := lockFile(ctx, file+".lock", func() { log.printf("waiting for another process that is archiving the broker's classes") })
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	work := file + ".part"
	if err := ignoreNotExist(os.Remove(work)); err != nil {
		return "", err
	}
	step := log.step("archiving the broker's classes")
	err = in.archiveTo(ctx, work)
	step(err, 0)
	if err != nil {
		return "", fmt.Errorf("archive the broker's classes: %w", err)
	}
	return file, os.Rename(work, file)
}

// archiveTo runs a broker that writes the archive as it ends.
func (in *kafkaInstallation) archiveTo(ctx context.Context, file string) (err error) {
	o := KafkaOptions{Java: []string{"-XX:ArchiveClassesAtExit=" + file}}
	k, err := in.launch(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.Stop()) }()
	if err := k.CreateTopic(ctx, "topic", 1); err != nil {
		return err
	}
	n := k.Nodes[0]
	if err := n.Shutdown(ctx); err != nil {
		return err
	}
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("%w\n%s", err, n.LogTail())
	}
	return nil
}

// metaFile is the file that says whose a storage folder is.
const metaFile = "meta.properties"

// identify makes a copied storage folder that of one node of one cluster.
func identify(dir, cluster string, node int) error {
	file := filepath.Join(dir, metaFile)
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("identify a storage folder: %w", err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		switch name, _, _ := strings.Cut(line, "="); name {
		case "node.id":
			line = fmt.Sprintf("node.id=%d\n", node)
		case "cluster.id":
			line = "cluster.id=" + cluster + "\n"
		case "directory.id":
			line = "directory.id=" + randomID() + "\n"
		}
		out.WriteString(line)
	}
	return os.WriteFile(file, []byte(out.String()), 0o600)
}

// clusterOf reads the cluster's id from a storage folder.
func clusterOf(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, metaFile))
	if err != nil {
		return "", fmt.Errorf("read whose the storage folder is: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "cluster.id="); ok {
			return id, nil
		}
	}
	return "", fmt.Errorf("%s names no cluster", filepath.Join(dir, metaFile))
}

// randomID is a UUID as Kafka writes it: 16 bytes in base64. The first byte is kept
// from giving a dash, which the tools take for an option.
func randomID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[0] &= 0x7f
	b[6] = b[6]&0x0f | 0x40 // version 4
	b[8] = b[8]&0x3f | 0x80 // variant
	return base64.RawURLEncoding.EncodeToString(b[:])
}
