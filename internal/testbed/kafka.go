package testbed

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// KafkaOptions of a cluster. The zero value is one node with what production has
// by default: topics make themselves, no ACLs.
type KafkaOptions struct {
	// Dir is the folder of the nodes' storage, kept when the cluster ends and used as it
	// is when it holds data already. Empty: a folder in the cache that ends with
	// the cluster.
	Dir string
	// Nodes is how many there are, each broker and controller; 0: one. With three or more, topics
	// are replicated three times and min.insync.replicas is 2, so one may be killed.
	Nodes int
	// Certs is what the TLS listeners show; nil: there are none.
	Certs *Certs
	// ACLs refuses everything that was not granted, but to the listener without
	// authentication: see Kafka.Grant.
	ACLs bool
	// NoAutoCreate keeps topics from making themselves (auto.create.topics.enable=false).
	NoAutoCreate bool
	// Partitions of a topic that does not say; 0: one.
	Partitions int
	// Heap of each node as Java writes it; "256m" where empty.
	Heap string
	// Java are further options of the virtual machine, which win over ours.
	Java []string
	// Properties are further lines of server.properties, which win over ours.
	Properties map[string]string
	// Advertise, where it is not nil, gives the address that clients of the listener without
	// authentication are told for a node, for a proxy in between: it is called once for
	// each node, with the node's own address.
	Advertise func(node int, address string) string
	// Log gets the progress of provisioning; nil: none.
	Log io.Writer
}

// Kafka is a running cluster, or one some of whose nodes were killed and can be
// restarted. Its methods are safe for concurrent use.
type Kafka struct {
	Kind    KafkaKind
	Cluster string // its id
	Dir     string // the folder that holds the nodes' folders
	Nodes   []*KafkaNode

	in    *kafkaInstallation
	opts  KafkaOptions
	owned bool

	mu        sync.Mutex
	stopped   bool
	transport *kafka.Transport
}

// LaunchKafka provisions the kind if need be, starts a cluster of it on loopback and
// returns when all nodes serve. The nodes end with this process, if Stop does
// not come first. ctx bounds the start only.
func LaunchKafka(ctx context.Context, kind KafkaKind, o KafkaOptions) (*Kafka, error) {
	in, err := openKafka(ctx, o.Log, kind)
	if err != nil {
		return nil, err
	}
	return in.launch(ctx, o)
}

func (in *kafkaInstallation) launch(ctx context.Context, o KafkaOptions) (*Kafka, error) {
	k := &Kafka{Kind: in.kind, in: in, opts: o, transport: &kafka.Transport{MetadataTTL: time.Second}}
	if o.Dir == "" {
		run, err := runDir(ctx, in.cache)
		if err != nil {
			return nil, err
		}
		if k.Dir, err = os.MkdirTemp(run, string(in.kind)+"-"); err != nil {
			return nil, err
		}
		k.owned = true
	} else {
		dir, err := filepath.Abs(o.Dir)
		if err != nil {
			return nil, err
		}
		k.Dir = dir
	}
	if err := k.launch(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", in.kind, err), k.Stop())
	}
	return k, nil
}

func (k *Kafka) launch(ctx context.Context) error {
	nodes := max(1, k.opts.Nodes)
	for i := range nodes {
		dir := filepath.Join(k.Dir, "node"+strconv.Itoa(i+1))
		fresh := false
		if _, err := os.Stat(filepath.Join(dir, metaFile)); errors.Is(err, os.ErrNotExist) {
			fresh = true
			if err := copyTemplate(ctx, k.in.template, dir); err != nil {
				return err
			}
			if k.Cluster == "" {
				k.Cluster = randomID()
			}
			if err := identify(dir, k.Cluster, i+1); err != nil {
				return err
			}
		}
		if !fresh && k.Cluster == "" {
			var err error
			if k.Cluster, err = clusterOf(dir); err != nil {
				return err
			}
		}
		k.Nodes = append(k.Nodes, &KafkaNode{ID: i + 1, Dir: dir, cluster: k, log: dir + ".log"})
	}
	if c := k.opts.Certs; c != nil {
		if err := writeKeystore(filepath.Join(k.Dir, "keystore.pem"), c); err != nil {
			return err
		}
	}
	for attempt := 1; ; attempt++ {
		err := k.bind(ctx)
		if err == nil {
			return nil
		}
		// A program that knows nothing of our reservations was quicker.
		if !errors.Is(err, errPortTaken) || attempt == 5 {
			return err
		}
		for _, n := range k.Nodes {
			if n.proc != nil {
				_ = n.proc.kill()
			}
			n.release()
		}
	}
}

// bind reserves the ports of all nodes, since each has to know the controllers of the others, and starts them.
func (k *Kafka) bind(ctx context.Context) error {
	names := []string{listenerController, listenerPlain, listenerSASL}
	if k.opts.Certs != nil {
		names = append(names, listenerTLS, listenerSASLTLS)
	}
	for _, n := range k.Nodes {
		n.ports = map[string]int{}
		for _, name := range names {
			port, release, err := reservePort(k.in.cache)
			if err != nil {
				return err
			}
			n.ports[name], n.releases = port, append(n.releases, release)
		}
		n.advertised = n.address(listenerPlain)
		if k.opts.Advertise != nil {
			n.advertised = k.opts.Advertise(n.ID, n.advertised)
		}
	}
	for _, n := range k.Nodes {
		if err := n.spawn(); err != nil {
			return err
		}
	}
	for _, n := range k.Nodes {
		if err := n.await(ctx); err != nil {
			return fmt.Errorf("node %d: %w", n.ID, err)
		}
	}
	return nil
}

// writeKeystore writes key and certificate in the one form that Kafka reads: PKCS #8, both in one file.
func writeKeystore(file string, c *Certs) error {
	text, err := os.ReadFile(c.Key)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return fmt.Errorf("%s holds no PEM block", c.Key)
	}
	der := block.Bytes
	if block.Type == "RSA PRIVATE KEY" {
		key, err := x509.ParsePKCS1PrivateKey(der)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Key, err)
		}
		if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
			return fmt.Errorf("%s: %w", c.Key, err)
		}
	}
	cert, err := os.ReadFile(c.Cert)
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), cert...), 0o600)
}

// Brokers are the addresses without encryption and authentication.
func (k *Kafka) Brokers() []string {
	var out []string
	for _, n := range k.Nodes {
		out = append(out, n.advertised)
	}
	return out
}

// TLSBrokers are the addresses with TLS alone.
func (k *Kafka) TLSBrokers() []string { return k.addresses(listenerTLS) }

// SASLBrokers are the addresses with SASL (SCRAM-SHA-256, SCRAM-SHA-512, PLAIN) and no encryption.
func (k *Kafka) SASLBrokers() []string { return k.addresses(listenerSASL) }

// SASLTLSBrokers are the addresses with SASL over TLS. The user is User, with Password.
func (k *Kafka) SASLTLSBrokers() []string { return k.addresses(listenerSASLTLS) }

func (k *Kafka) addresses(listener string) []string {
	var out []string
	for _, n := range k.Nodes {
		out = append(out, n.address(listener))
	}
	return out
}

// Kill ends all nodes as a power cut would, and returns when they are gone.
func (k *Kafka) Kill() error {
	var errs []error
	for _, n := range k.Nodes {
		errs = append(errs, n.Kill())
	}
	return errors.Join(errs...)
}

// Restart starts all nodes that do not run again, at the same ports with the same data.
func (k *Kafka) Restart(ctx context.Context) error {
	k.mu.Lock()
	stopped := k.stopped
	k.mu.Unlock()
	if stopped {
		return fmt.Errorf("restart %s: it was stopped for good", k.Kind)
	}
	for _, n := range k.Nodes {
		if n.PID() == 0 {
			if err := n.spawn(); err != nil {
				return fmt.Errorf("restart %s: %w", k.Kind, err)
			}
		}
	}
	for _, n := range k.Nodes {
		if err := n.await(ctx); err != nil {
			return fmt.Errorf("restart %s: node %d: %w", k.Kind, n.ID, err)
		}
	}
	return nil
}

// Stop ends the cluster for good and gives its ports back. A folder of our own
// is removed, so nothing is lost by not shutting down cleanly; one of the caller's is left
// as a clean shutdown leaves it. Later calls do nothing.
func (k *Kafka) Stop() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopped {
		return nil
	}
	k.stopped = true
	k.transport.CloseIdleConnections()
	var errs []error
	if !k.owned {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		// Together: one node of a cluster waits for others that it could hand over to.
		var wg sync.WaitGroup
		stops := make([]error, len(k.Nodes))
		for i, n := range k.Nodes {
			wg.Go(func() { stops[i] = n.Shutdown(ctx) })
		}
		wg.Wait()
		errs = append(errs, stops...)
	}
	for _, n := range k.Nodes {
		errs = append(errs, n.Kill())
		n.release()
	}
	if k.owned {
		errs = append(errs, os.RemoveAll(k.Dir))
	}
	return errors.Join(errs...)
}

// LogTail returns the end of each node's log.
func (k *Kafka) LogTail() string {
	var b strings.Builder
	for _, n := range k.Nodes {
		fmt.Fprintf(&b, "node %d:\n%s\n", n.ID, n.LogTail())
	}
	return b.String()
}

// The listeners of a node.
const (
	listenerController = "CONTROLLER"
	listenerPlain      = "PLAIN"
	listenerSASL       = "SASL"
	listenerTLS        = "TLS"
	listenerSASLTLS    = "SASLTLS"
)

// properties is the text of a node's server.properties.
func (n *KafkaNode) properties() string {
	k := n.cluster
	replicas := min(3, len(k.Nodes))
	// A dead node is missed soon, but not one that is slow because the machine is busy with other things. One
	// that comes back after a SIGKILL is refused for as long as it is not missed.
	session := "4000"
	if len(k.Nodes) == 1 {
		session = "1500"
	}
	var voters []string
	for _, v := range k.Nodes {
		voters = append(voters, fmt.Sprintf("%d@%s", v.ID, v.address(listenerController)))
	}
	protocols := map[string]string{listenerController: "PLAINTEXT", listenerPlain: "PLAINTEXT", listenerSASL: "SASL_PLAINTEXT", listenerTLS: "SSL", listenerSASLTLS: "SASL_SSL"}
	var listen, advertised, protocol []string
	for _, name := range slices.Sorted(maps.Keys(n.ports)) {
		listen = append(listen, name+"://"+n.address(name))
		protocol = append(protocol, name+":"+protocols[name])
		switch name {
		case listenerController:
		case listenerPlain:
			advertised = append(advertised, name+"://"+n.advertised)
		default:
			advertised = append(advertised, name+"://"+n.address(name))
		}
	}
	p := map[string]string{
		"process.roles":                  "broker,controller",
		"node.id":                        strconv.Itoa(n.ID),
		"controller.quorum.voters":       strings.Join(voters, ","),
		"controller.listener.names":      listenerController,
		"listeners":                      strings.Join(listen, ","),
		"advertised.listeners":           strings.Join(advertised, ","),
		"listener.security.protocol.map": strings.Join(protocol, ","),
		"inter.broker.listener.name":     listenerPlain,
		"log.dirs":                       n.Dir,

		"auto.create.topics.enable":  strconv.FormatBool(!k.opts.NoAutoCreate),
		"num.partitions":             strconv.Itoa(max(1, k.opts.Partitions)),
		"default.replication.factor": strconv.Itoa(replicas),
		"min.insync.replicas":        strconv.Itoa(max(1, replicas-1)),

		"offsets.topic.num.partitions":             "1",
		"offsets.topic.replication.factor":         strconv.Itoa(replicas),
		"transaction.state.log.num.partitions":     "1",
		"transaction.state.log.replication.factor": strconv.Itoa(replicas),
		"transaction.state.log.min.isr":            strconv.Itoa(max(1, replicas-1)),
		"group.initial.rebalance.delay.ms":         "0",

		"broker.session.timeout.ms":    session,
		"broker.heartbeat.interval.ms": "300",

		"log.cleaner.dedupe.buffer.size": "2097152", // the default is half of our heap
		"log.cleaner.threads":            "1",
		"num.network.threads":            "2",
		"num.io.threads":                 "4",
		"background.threads":             "2",

		"sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
	}
	for _, l := range []string{listenerSASL, listenerSASLTLS} {
		prefix := "listener.name." + strings.ToLower(l) + "."
		p[prefix+"plain.sasl.jaas.config"] = fmt.Sprintf("org.apache.kafka.common.security.plain.PlainLoginModule required user_%s=%q;", User, Password)
		p[prefix+"scram-sha-256.sasl.jaas.config"] = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
		p[prefix+"scram-sha-512.sasl.jaas.config"] = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	}
	if c := k.opts.Certs; c != nil {
		p["ssl.keystore.type"], p["ssl.keystore.location"] = "PEM", filepath.Join(k.Dir, "keystore.pem")
		p["ssl.truststore.type"], p["ssl.truststore.location"] = "PEM", c.CA
	}
	if k.opts.ACLs {
		p["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
		p["super.users"] = "User:ANONYMOUS"
	}
	maps.Copy(p, k.opts.Properties)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&b, "%s=%s\n", name, p[name])
	}
	return b.String()
}

// address of a listener.
func (n *KafkaNode) address(listener string) string {
	return net.JoinHostPort(loopback, strconv.Itoa(n.ports[listener]))
}
