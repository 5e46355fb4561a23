package hdfs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"os"
	"os/user"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/colinmarc/hdfs/v2"
	"github.com/colinmarc/hdfs/v2/hadoopconf"
	"github.com/jcmturner/gokrb5/v8/client"
	krb5 "github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/keytab"

	"cdc/fault"
	"cdc/sinks/files"
)

// Place is a folder of a cluster, a files.Remote.
type Place struct {
	client *hdfs.Client
	call   executor
	conns  *connections
	root   string
	once   sync.Once

	mu   sync.Mutex
	made map[string]bool // folders that are there
}

var _ files.Remote = (*Place)(nil)

// Open connects to a cluster; c may be nil. Faults: SinkPlace where no NameNode answers, SinkPlaceLogin where the login is refused.
func Open(ctx context.Context, dir string, c *Config) (*Place, error) {
	if c == nil {
		c = &Config{}
	}
	host, root, bad := Split(dir)
	if bad != "" {
		return nil, fault.New(fault.ConfigInvalid, "%s %s", dir, bad)
	}
	p := &Place{conns: &connections{timeout: cmp.Or(c.Timeout, DefaultTimeout), live: map[*conn]bool{}}, root: root, made: map[string]bool{}}
	o, err := c.options(host, p.conns)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, p.conns.cut)
	defer stop()
	if p.client, err = hdfs.NewClient(o); err != nil {
		return nil, fault.New(fault.SinkPlace, "connect to %s: %w", strings.Join(o.Addresses, ", "), err)
	}
	if p.call, err = connection(p.client); err != nil {
		return nil, errors.Join(fault.New(fault.SinkPlaceUnfit, "%w", err), p.Close())
	}
	// The library asks for these once and keeps them without a lock: here, while nobody else uses it.
	if _, err = p.client.ServerDefaults(); err == nil {
		err = p.folder(files.TempDir)
	}
	if err != nil {
		return nil, errors.Join(explain(err), p.Close())
	}
	return p, nil
}

func (c *Config) options(host string, conns *connections) (hdfs.ClientOptions, error) {
	var o hdfs.ClientOptions
	var conf hadoopconf.HadoopConf
	if c.Conf != "" {
		var err error
		if conf, err = hadoopconf.Load(c.Conf); err != nil {
			return o, fault.New(fault.ConfigInvalid, "read the configuration of Hadoop: %w", err)
		}
		o = hdfs.ClientOptionsFromConf(conf)
	}
	switch {
	case len(c.Namenodes) > 0:
		o.Addresses = c.Namenodes
	case host != "" && len(nameservice(conf, host)) > 0:
		o.Addresses = nameservice(conf, host)
	case host != "":
		if !strings.Contains(host, ":") {
			host = net.JoinHostPort(host, "8020")
		}
		o.Addresses = []string{host}
	}
	if len(o.Addresses) == 0 {
		return o, fault.New(fault.ConfigInvalid, "%s names no NameNode", c.Conf)
	}
	o.UseDatanodeHostname = o.UseDatanodeHostname || c.DatanodeHostname
	o.NamenodeDialFunc, o.DatanodeDialFunc = conns.dial, conns.dial
	if c.Protection != "" {
		o.DataTransferProtection = c.Protection
	}
	if k := c.Kerberos; k != nil {
		kt, err := keytab.Load(k.Keytab)
		if err != nil {
			return o, fault.New(fault.ConfigInvalid, "read the keytab: %w", err)
		}
		krb, err := krb5.Load(cmp.Or(k.Krb5, "/etc/krb5.conf"))
		if err != nil {
			return o, fault.New(fault.ConfigInvalid, "read the Kerberos configuration: %w", err)
		}
		name, realm, _ := strings.Cut(k.Principal, "@")
		o.KerberosClient = client.NewWithKeytab(name, realm, kt, krb, client.DisablePAFXFAST(true))
		o.KerberosServicePrincipleName = cmp.Or(k.Service, o.KerberosServicePrincipleName, "nn/_HOST")
		return o, nil
	}
	if o.KerberosClient != nil {
		return o, fault.New(fault.ConfigInvalid, "the cluster asks for Kerberos by %s: kerberos is missing", c.Conf)
	}
	if o.User = c.User; o.User == "" {
		u, err := user.Current()
		if err != nil {
			return o, fault.New(fault.ConfigInvalid, "find out who runs this process: %w", err)
		}
		o.User = u.Username
	}
	return o, nil
}

// nameservice gives the addresses of the NameNodes of a name service, none where the configuration knows none of that name.
func nameservice(conf hadoopconf.HadoopConf, name string) []string {
	var all []string
	for key, address := range conf {
		if strings.HasPrefix(key, "dfs.namenode.rpc-address."+name+".") {
			all = append(all, address)
		}
	}
	slices.Sort(all)
	return all
}

// run calls f, which the library offers no way to stop: where ctx ends, its connections are cut.
func (p *Place) run(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, p.conns.cut)
	defer stop()
	err := f()
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return explain(err)
}

func (p *Place) path(name string) string { return path.Join(p.root, name) }

// folder makes a folder and those above it.
func (p *Place) folder(dir string) error {
	p.mu.Lock()
	there := p.made[dir]
	p.mu.Unlock()
	if there {
		return nil
	}
	if err := p.client.MkdirAll(p.path(dir), 0o755); err != nil {
		return err
	}
	p.mu.Lock()
	p.made[dir] = true
	p.mu.Unlock()
	return nil
}

// Put implements files.Remote.
func (p *Place) Put(ctx context.Context, name string, body io.ReadSeeker, _ int64) error {
	return p.run(ctx, func() error { return p.put(ctx, name, body) })
}

// sends is how often a file is sent whose blocks the NameNode does not hear of in time.
const sends = 6

// put sends a file. A NameNode gives no further block, and ends no file, while it has not heard from a DataNode of the block before the last, which comes where
// that is slow. The library can neither ask for a block once more nor name the last one again when it ends a file, so the file is sent anew, with pauses.
func (p *Place) put(ctx context.Context, name string, body io.ReadSeeker) error {
	if err := p.folder(path.Dir(name)); err != nil {
		return err
	}
	start, err := body.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	var pause time.Duration
	for try := 1; ; try++ {
		patience := p.conns.timeout
		if try < sends {
			patience = min(patience, time.Second<<try)
		}
		err := p.send(ctx, name, body, pause, patience)
		var said hdfs.Error
		if try == sends || !hdfs.IsErrReplicating(err) && (!errors.As(err, &said) || !strings.HasSuffix(said.Exception(), ".NotReplicatedYetException")) {
			return err
		}
		pause = max(2*pause, 200*time.Millisecond)
		if err := p.client.Remove(p.path(name)); err != nil {
			return err
		}
		if _, err := body.Seek(start, io.SeekStart); err != nil {
			return err
		}
	}
}

// send writes a file, with a pause behind each block, and waits for its end as long as patience.
func (p *Place) send(ctx context.Context, name string, body io.Reader, pause, patience time.Duration) error {
	piece := int64(math.MaxInt64)
	if pause > 0 {
		d, err := p.client.ServerDefaults()
		if err != nil {
			return err
		}
		piece = d.BlockSize
	}
	w, err := p.client.Create(p.path(name))
	if err != nil {
		return err
	}
	buf := make([]byte, 256<<10)
	for n := piece; n == piece; {
		n, err = io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(body, piece), buf)
		if err == nil && pause > 0 {
			err = rest(ctx, pause)
		}
		if err != nil {
			_ = w.Close() // the next start removes it
			return err
		}
	}
	deadline := time.Now().Add(patience)
	for again := 10 * time.Millisecond; ; again = min(2*again, time.Second) {
		err := w.Close()
		if !hdfs.IsErrReplicating(err) || time.Now().After(deadline) {
			return err
		}
		if err := rest(ctx, again); err != nil { // the NameNode has not yet heard from the DataNodes
			return err
		}
	}
}

// rest waits.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PutNew implements files.Remote: the file gets its name when it is whole.
func (p *Place) PutNew(ctx context.Context, name string, body []byte) error {
	return p.run(ctx, func() error {
		temp := files.TempDir + "/new-" + strings.ToLower(rand.Text())
		if err := p.put(ctx, temp, bytes.NewReader(body)); err != nil {
			return err
		}
		err := p.publish(temp, name)
		if err != nil {
			_ = p.client.Remove(p.path(temp)) // the next start does
		}
		return err
	})
}

// Publish implements files.Remote.
func (p *Place) Publish(ctx context.Context, temp, final string) error {
	return p.run(ctx, func() error { return p.publish(temp, final) })
}

func (p *Place) publish(temp, final string) error {
	for try := 1; ; try++ {
		if err := p.folder(path.Dir(final)); err != nil {
			return err
		}
		// Into a folder the NameNode would move the file, in place of refusing.
		if info, err := p.client.Stat(p.path(final)); err == nil {
			if info.IsDir() {
				return fmt.Errorf("%s: %w", final, files.ErrNotRegular)
			}
			return fs.ErrExist
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		done, err := rename(p.call, p.path(temp), p.path(final))
		if done || err != nil {
			return err
		}
		// It says no more than no.
		if _, err := p.client.Stat(p.path(final)); err == nil {
			return fs.ErrExist
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if _, err := p.client.Stat(p.path(temp)); err != nil {
			return err
		}
		if try == 2 {
			return fmt.Errorf("the NameNode does not rename %s to %s", temp, final)
		}
		p.mu.Lock()
		clear(p.made) // somebody removed the folder
		p.mu.Unlock()
	}
}

// Open implements files.Remote.
func (p *Place) Open(ctx context.Context, name string) (r io.ReadCloser, err error) {
	err = p.run(ctx, func() error {
		f, err := p.client.Open(p.path(name))
		if err != nil {
			return err
		}
		if f.Stat().IsDir() {
			return errors.Join(fmt.Errorf("%s: %w", name, files.ErrNotRegular), f.Close())
		}
		r = &reader{f, p, ctx}
		return nil
	})
	return r, err
}

// reader reads a file under the context of its Open.
type reader struct {
	f   *hdfs.FileReader
	p   *Place
	ctx context.Context //nolint:containedctx // io.Reader takes none
}

func (r *reader) Read(b []byte) (n int, err error) {
	var end error
	err = r.p.run(r.ctx, func() error {
		var err error
		if n, err = r.f.Read(b); errors.Is(err, io.EOF) {
			end, err = io.EOF, nil
		}
		return err
	})
	return n, cmp.Or(err, end)
}

func (r *reader) Close() error { return r.f.Close() }

// List implements files.Remote.
func (p *Place) List(ctx context.Context, dir string) (names []string, err error) {
	err = p.run(ctx, func() error {
		infos, err := p.client.ReadDir(p.path(dir))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for _, i := range infos {
			names = append(names, i.Name())
		}
		return err
	})
	return names, err
}

// Remove implements files.Remote.
func (p *Place) Remove(ctx context.Context, name string) error {
	return p.run(ctx, func() error { return p.client.Remove(p.path(name)) })
}

// Sweep implements files.Remote: nothing is left but files.
func (p *Place) Sweep(context.Context) error { return nil }

// Free implements files.Remote: what the cluster has, for all users.
func (p *Place) Free(ctx context.Context) (free uint64, err error) {
	err = p.run(ctx, func() error {
		info, err := p.client.StatFs()
		free = info.Remaining
		return err
	})
	return free, err
}

// Close ends all connections.
func (p *Place) Close() (err error) {
	p.once.Do(func() {
		p.conns.cut() // first: the library waits for what is under way
		if p.client != nil {
			_ = p.client.Close() // closes what is closed
		}
	})
	return nil
}

// explain makes of what Hadoop says what the sink understands.
func explain(err error) error {
	if _, ok := fault.As(err); ok || err == nil {
		return err
	}
	var said hdfs.Error
	exception, text := "", ""
	if errors.As(err, &said) {
		exception = said.Exception()[strings.LastIndexByte(said.Exception(), '.')+1:]
		text, _, _ = strings.Cut(said.Message(), "\n")
	}
	switch {
	case errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrNotExist), errors.Is(err, files.ErrNotRegular):
		return err
	case exception == "FileNotFoundException": // where the library has not told by itself
		return fmt.Errorf("%w: %s", fs.ErrNotExist, text)
	case exception == "AccessControlException", errors.Is(err, os.ErrPermission):
		return fault.New(fault.SinkPlaceLogin, "%w: %s", err, text)
	case strings.HasSuffix(exception, "QuotaExceededException"):
		return fmt.Errorf("%w: %s", files.ErrFull, text)
	case exception == "ParentNotDirectoryException":
		return fmt.Errorf("%w: %s", files.ErrNotRegular, text)
	case text != "":
		return fault.New(fault.SinkPlace, "%w: %s", err, text)
	}
	return fault.New(fault.SinkPlace, "%w", err)
}

// connections are all that the library has opened.
type connections struct {
	timeout time.Duration

	mu     sync.Mutex
	closed bool
	live   map[*conn]bool
}

func (c *connections) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return nil, net.ErrClosed
	}
	d := net.Dialer{Timeout: min(c.timeout, 20*time.Second)}
	n, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	k := &conn{n, c}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed { // meanwhile
		return nil, errors.Join(net.ErrClosed, n.Close())
	}
	c.live[k] = true
	return k, nil
}

// cut closes all connections and allows no more.
func (c *connections) cut() {
	c.mu.Lock()
	c.closed = true
	var all []*conn
	for k := range c.live {
		all = append(all, k)
	}
	c.mu.Unlock()
	for _, k := range all {
		_ = k.Close() // nothing is expected of it any more
	}
}

// conn is a connection that ends where the other side says nothing for too long.
type conn struct {
	net.Conn
	of *connections
}

func (c *conn) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.of.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *conn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.of.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (c *conn) Close() error {
	c.of.mu.Lock()
	delete(c.of.live, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
