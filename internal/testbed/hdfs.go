package testbed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// HDFSVersion is the release of Hadoop.
const HDFSVersion = "3.4.1"

// HDFS is a NameNode and a DataNode on loopback, two processes of about 160 MB each, whose user HDFSUser may do everything.
type HDFS struct {
	Addr     string // of the NameNode
	Dir      string
	NameNode *Daemon
	DataNode *Daemon

	program, jars string
	web, data     string // addresses of the NameNode's pages and of the DataNode
	releases      []func()
}

// HDFSUser is the superuser.
const HDFSUser = "hdfs"

func hdfsJars() jarSet {
	return jarSet{name: "hdfs", coordinates: []string{
		"org.apache.hadoop:hadoop-client-minicluster:" + HDFSVersion,
		"org.apache.hadoop:hadoop-client-api:" + HDFSVersion,
		"org.apache.hadoop:hadoop-client-runtime:" + HDFSVersion,
		"org.slf4j:slf4j-simple:1.7.36",
	}}
}

// StartHDFS starts a cluster for one test, which ends with the test.
func StartHDFS(t testing.TB) *HDFS {
	t.Helper()
	h, err := LaunchHDFS(t.Context(), os.Stderr)
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the NameNode's log:\n%s\nand of the DataNode's:\n%s", h.NameNode.LogTail(), h.DataNode.LogTail())
		}
		if err := h.Stop(); err != nil {
			t.Errorf("testbed: stop HDFS: %v", err)
		}
	})
	return h
}

// LaunchHDFS fetches what is missing, with progress to w, and starts a cluster, which ends with this process at the latest.
func LaunchHDFS(ctx context.Context, w io.Writer) (*HDFS, error) {
	h := &HDFS{}
	var err error
	if h.program, err = exec.LookPath("java"); err != nil {
		return nil, errors.Join(need("java", "HDFS needs Java 17 or later (Debian: openjdk-17-jre-headless)"), err)
	}
	set := hdfsJars()
	if h.jars, err = set.fetch(ctx, w); err != nil {
		return nil, err
	}
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	run, err := runDir(ctx, cache)
	if err != nil {
		return nil, err
	}
	if h.Dir, err = os.MkdirTemp(run, "hdfs-"); err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		if err = h.launch(ctx, cache); err == nil {
			return h, nil
		}
		if !errors.Is(err, errPortTaken) || attempt == 5 {
			return nil, errors.Join(fmt.Errorf("start HDFS: %w", err), h.Stop())
		}
		h.halt()
	}
}

func (h *HDFS) launch(ctx context.Context, cache string) error {
	var ports [5]string
	for i := range ports {
		port, release, err := reservePort(cache)
		if err != nil {
			return err
		}
		h.releases = append(h.releases, release)
		ports[i] = net.JoinHostPort(loopback, strconv.Itoa(port))
	}
	h.Addr, h.web, h.data = ports[0], ports[1], ports[2]
	conf := filepath.Join(h.Dir, "conf")
	if err := os.MkdirAll(conf, 0o755); err != nil {
		return err
	}
	err := errors.Join(
		writeHadoop(filepath.Join(conf, "core-site.xml"), map[string]string{
			"fs.defaultFS": "hdfs://" + h.Addr, "hadoop.tmp.dir": filepath.Join(h.Dir, "tmp"), "ipc.client.connect.retry.interval": "200",
		}),
		writeHadoop(filepath.Join(conf, "hdfs-site.xml"), map[string]string{
			"dfs.namenode.http-address": h.web, "dfs.namenode.name.dir": filepath.Join(h.Dir, "name"),
			"dfs.datanode.data.dir": filepath.Join(h.Dir, "data"), "dfs.datanode.address": ports[2], "dfs.datanode.http.address": ports[3], "dfs.datanode.ipc.address": ports[4],
			"dfs.replication": "1", "dfs.blocksize": "1048576", "dfs.namenode.fs-limits.min-block-size": "1024",
			"dfs.namenode.safemode.extension": "0", "dfs.heartbeat.interval": "1", "dfs.permissions.superusergroup": HDFSUser,
			"dfs.namenode.handler.count": "4", "dfs.datanode.handler.count": "2", "dfs.block.scanner.volume.bytes.per.second": "0",
		}),
	)
	if err != nil {
		return err
	}
	if err := h.format(ctx, cache, conf); err != nil {
		return err
	}
	h.NameNode = h.daemon(conf, "NameNode", "org.apache.hadoop.hdfs.server.namenode.NameNode", h.listens)
	h.DataNode = h.daemon(conf, "DataNode", "org.apache.hadoop.hdfs.server.datanode.DataNode", h.serves)
	if err := h.NameNode.start(ctx); err != nil {
		return err
	}
	return h.DataNode.start(ctx)
}

func writeHadoop(file string, values map[string]string) error {
	var b strings.Builder
	b.WriteString("<configuration>\n")
	for k, v := range values {
		fmt.Fprintf(&b, " <property><name>%s</name><value>%s</value></property>\n", k, v)
	}
	b.WriteString("</configuration>\n")
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

func (h *HDFS) java(conf, class string, args ...string) []string {
	argv := []string{
		h.program, "-Xms32m", "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-XX:ErrorFile=" + filepath.Join(h.Dir, "crash"),
		"-DHADOOP_USER_NAME=" + HDFSUser, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
		"-cp", conf + ":" + filepath.Join(h.jars, "*"), class,
	}
	return append(argv, args...)
}

// format copies the folder of an empty file system, made once for all.
func (h *HDFS) format(ctx context.Context, cache, conf string) error {
	name := filepath.Join(h.Dir, "name")
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	template := filepath.Join(cache, "templates", filepath.Base(h.jars)+"-1")
	if _, err := os.Stat(template); err != nil {
		unlock, err := lockFile(ctx, template+".lock", nil)
		if err != nil {
			return err
		}
		defer unlock()
		if _, err := os.Stat(template); err != nil {
			argv := h.java(conf, "org.apache.hadoop.hdfs.server.namenode.NameNode", "-format", "-force", "-nonInteractive")
			if _, err := run(ctx, argv[0], argv[1:]...); err != nil {
				return fmt.Errorf("format a file system: %w", err)
			}
			work := template + ".part"
			if err := errors.Join(os.RemoveAll(work), copyTemplate(ctx, name, work), os.Rename(work, template)); err != nil {
				return err
			}
			return nil
		}
	}
	return copyTemplate(ctx, template, name)
}

func (h *HDFS) daemon(conf, name, class string, ready func(context.Context) error) *Daemon {
	return &Daemon{Name: name, argv: h.java(conf, class), log: filepath.Join(h.Dir, name+".log"), ready: ready}
}

// listens returns nil when the NameNode takes calls.
func (h *HDFS) listens(ctx context.Context) error {
	_, err := h.state(ctx)
	return err
}

// serves returns nil when the NameNode knows a DataNode and has left safe mode.
func (h *HDFS) serves(ctx context.Context) error {
	s, err := h.state(ctx)
	if err != nil {
		return err
	}
	if s.Live == 0 || s.FSState != "Operational" {
		return fmt.Errorf("%d DataNodes, %s", s.Live, s.FSState)
	}
	var d net.Dialer // one that was killed counts as alive for minutes
	c, err := d.DialContext(ctx, "tcp", h.data)
	if err != nil {
		return err
	}
	return c.Close()
}

type hdfsState struct {
	Live    int `json:"NumLiveDataNodes"`
	FSState string
}

func (h *HDFS) state(ctx context.Context) (hdfsState, error) {
	var s struct{ Beans []hdfsState }
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.web+"/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState", http.NoBody)
	if err != nil {
		return hdfsState{}, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return hdfsState{}, err
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&s); err != nil {
		return hdfsState{}, err
	}
	if len(s.Beans) == 0 {
		return hdfsState{}, errors.New("the NameNode does not know its state yet")
	}
	return s.Beans[0], nil
}

// Ready waits until the cluster takes writes, as after a restart of one of the two.
func (h *HDFS) Ready(ctx context.Context) error { return h.DataNode.await(ctx) }

// Shell prepares a run of Hadoop's own file system shell: -ls, -cat and so on. It takes about a second.
func (h *HDFS) Shell(ctx context.Context, args ...string) *exec.Cmd {
	argv := h.java(filepath.Join(h.Dir, "conf"), "org.apache.hadoop.fs.FsShell", args...)
	return exec.CommandContext(ctx, argv[0], argv[1:]...)
}

func (h *HDFS) halt() {
	for _, d := range []*Daemon{h.DataNode, h.NameNode} {
		if d != nil {
			_ = d.Kill() // its data is removed with it
		}
	}
	for _, r := range h.releases {
		r()
	}
	h.releases = nil
}

// Stop ends the cluster for good and removes its data.
func (h *HDFS) Stop() error {
	h.halt()
	return os.RemoveAll(h.Dir)
}
