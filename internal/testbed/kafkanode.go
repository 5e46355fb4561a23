package testbed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
)

// KafkaNode is one node of a cluster, broker and controller in one process. Its
// methods are safe for concurrent use.
type KafkaNode struct {
	ID  int    // from 1
	Dir string // storage folder

	cluster    *Kafka
	log        string
	ports      map[string]int // by listener
	advertised string
	releases   []func() // give the ports back

	mu     sync.Mutex
	proc   *proc
	before int64 // how long the log was when the process started
}

// Addr is the address without encryption and authentication that the node listens at: "127.0.0.1:PORT".
func (n *KafkaNode) Addr() string { return n.address(listenerPlain) }

func (n *KafkaNode) release() {
	for _, r := range n.releases {
		r()
	}
	n.releases = nil
}

// spawn starts the process, which answers later.
func (n *KafkaNode) spawn() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	file := n.Dir + ".properties"
	if err := os.WriteFile(file, []byte(n.properties()), 0o600); err != nil {
		return err
	}
	k := n.cluster
	heap := k.opts.Heap
	if heap == "" {
		heap = "256m"
	}
	java := []string{"-XX:ErrorFile=" + n.Dir + ".crash"}
	if k.in.archive != "" {
		java = append(java, "-XX:SharedArchiveFile="+k.in.archive)
	}
	java = append(java, k.opts.Java...)
	n.before = 0
	if info, err := os.Stat(n.log); err == nil {
		n.before = info.Size()
	}
	p, err := startProcess(k.in.java(heap, "info", java, "kafka.Kafka", file), n.log)
	if err != nil {
		return err
	}
	n.proc = p
	return nil
}

// await returns when the node serves clients as a member of its cluster.
func (n *KafkaNode) await(ctx context.Context) error {
	n.mu.Lock()
	p, before := n.proc, n.before
	n.mu.Unlock()
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("no answer within %s", startTimeout))
	defer cancel()
	for {
		err := n.greet(ctx)
		if err == nil {
			return nil
		}
		if pause := p.pause(ctx, 50*time.Millisecond); pause != nil {
			_ = p.kill()
			if said, _ := readFrom(n.log, before); strings.Contains(said, "Address already in use") {
				pause = errPortTaken
			}
			return fmt.Errorf("%w; last answer: %w\n%s", pause, err, logTail(n.log, 20))
		}
	}
}

// greet asks the node for the members of its cluster: it is ready when it counts itself
// among them.
func (n *KafkaNode) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	// A quick look first: the client library would log in to nothing for a second.
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", n.Addr())
	if err != nil {
		return err
	}
	conn.Close()
	transport := &kafka.Transport{MetadataTopics: []string{"__cluster_metadata"}}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(n.Addr()), Transport: transport}
	answer, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{"__cluster_metadata"}})
	if err != nil {
		return err
	}
	if answer.ClusterID != n.cluster.Cluster {
		return fmt.Errorf("the broker at %s is not ours", n.Addr())
	}
	for _, b := range answer.Brokers {
		if b.ID == n.ID {
			return nil
		}
	}
	return errors.New("the broker is not yet a member of its cluster")
}

// PID is the process id of the node, 0 while there is none.
func (n *KafkaNode) PID() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc == nil || !n.proc.running() {
		return 0
	}
	return n.proc.cmd.Process.Pid
}

// Kill ends the node as a power cut would, with SIGKILL, and returns when it is gone.
func (n *KafkaNode) Kill() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc == nil {
		return nil
	}
	return n.proc.kill()
}

// Shutdown ends the node cleanly, keeping data and ports for Restart. In a
// cluster it hands its partitions to others before.
func (n *KafkaNode) Shutdown(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc == nil || !n.proc.running() {
		return nil
	}
	if err := n.proc.signal(syscall.SIGCONT); err != nil { // a paused node would not hear
		return err
	}
	if err := n.proc.terminate(ctx); err != nil {
		return fmt.Errorf("shut down node %d of %s: %w", n.ID, n.cluster.Kind, err)
	}
	return nil
}

// Restart starts the node again at the same ports with the same data and waits until it serves. A
// node that runs is shut down cleanly first.
func (n *KafkaNode) Restart(ctx context.Context) error {
	if err := n.Shutdown(ctx); err != nil {
		return err
	}
	if err := n.spawn(); err != nil {
		return fmt.Errorf("restart node %d: %w", n.ID, err)
	}
	if err := n.await(ctx); err != nil {
		return fmt.Errorf("restart node %d: %w", n.ID, err)
	}
	return nil
}

// Pause freezes the node (SIGSTOP): its connections stay open and silent.
func (n *KafkaNode) Pause() error { return n.send(syscall.SIGSTOP) }

// Resume is the end of Pause.
func (n *KafkaNode) Resume() error { return n.send(syscall.SIGCONT) }

func (n *KafkaNode) send(sig syscall.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc == nil {
		return errExited
	}
	return n.proc.signal(sig)
}

// LogTail returns the end of the node's log.
func (n *KafkaNode) LogTail() string { return logTail(n.log, 40) }
