package hdfs

import (
	"net"
	"path"
	"strings"
	"time"

	"cdc/internal/settings"
)

// Config is how a cluster is reached. Where dir is hdfs://HOST:PORT/PATH, all of it may be left out.
type Config struct {
	Namenodes        []string        `yaml:"namenodes" jsonschema_description:"Addresses host:port of the NameNodes, several where one stands by. Default: that of dir, which may be a name service of conf, else those of conf."`
	Conf             string          `yaml:"conf" jsonschema_description:"Folder with core-site.xml and hdfs-site.xml: NameNodes, Kerberos, and the protection of data are taken from there."`
	User             string          `yaml:"user" jsonschema_description:"User by whom files are written, without Kerberos. Default: the user of the process."`
	Kerberos         *KerberosConfig `yaml:"kerberos" jsonschema_description:"Log in by Kerberos."`
	Protection       string          `yaml:"protection" jsonschema:"enum=authentication,enum=integrity,enum=privacy" jsonschema_description:"As dfs.data.transfer.protection of the cluster: what is asked of DataNodes at least."`
	DatanodeHostname bool            `yaml:"datanode_hostname" jsonschema_description:"Reach DataNodes by their host names and not by the addresses that the NameNode knows."`
	Timeout          time.Duration   `yaml:"timeout" jsonschema_description:"How long a node may say nothing. Default 60s."`
}

// KerberosConfig is a login by keytab.
type KerberosConfig struct {
	Principal string `yaml:"principal" jsonschema_description:"Who logs in: NAME@REALM."`
	Keytab    string `yaml:"keytab" jsonschema_description:"File with the principal's key."`
	Krb5      string `yaml:"krb5" jsonschema_description:"Kerberos configuration. Default /etc/krb5.conf."`
	Service   string `yaml:"service" jsonschema_description:"Principal of the NameNodes without realm. Default nn/_HOST."`
}

// DefaultTimeout is how long a node may say nothing.
const DefaultTimeout = time.Minute

// Split takes a place hdfs://HOST[:PORT]/PATH or hdfs:///PATH apart, where HOST may also be a name service of conf; problem says what is wrong with it.
func Split(dir string) (host, folder, problem string) {
	host, folder, _ = strings.Cut(strings.TrimPrefix(dir, "hdfs://"), "/") // as it stands: a name may hold nearly any character
	switch {
	case !strings.HasPrefix(dir, "hdfs://") || strings.ContainsAny(host, "@?#%"):
		return "", "", "is not hdfs://HOST:PORT/PATH"
	case path.Clean("/"+folder) == "/":
		return "", "", "names no folder below /"
	}
	return host, path.Clean("/" + folder), ""
}

// Validate says what is wrong with the settings for a place.
func (c *Config) Validate(prefix, dir string) []settings.Problem {
	var out []settings.Problem
	problem := func(key, text string) {
		out = append(out, settings.Problem{Path: prefix + "." + key, Text: text})
	}
	host, _, bad := Split(dir)
	if bad != "" {
		problem("dir", bad)
	}
	if c == nil {
		if bad == "" && host == "" {
			problem("dir", "names no NameNode, and hdfs.namenodes and hdfs.conf are not given")
		}
		return out
	}
	if bad == "" && host == "" && len(c.Namenodes) == 0 && c.Conf == "" {
		problem("hdfs.namenodes", "is missing: dir names no NameNode, and conf is not given")
	}
	for _, a := range c.Namenodes {
		if _, _, err := net.SplitHostPort(a); err != nil {
			problem("hdfs.namenodes", a+" is not host:port")
		}
	}
	if k := c.Kerberos; k != nil {
		if name, realm, ok := strings.Cut(k.Principal, "@"); !ok || name == "" || realm == "" {
			problem("hdfs.kerberos.principal", "is not NAME@REALM")
		}
		if k.Keytab == "" {
			problem("hdfs.kerberos.keytab", "is missing")
		}
		if c.User != "" {
			problem("hdfs.user", "is the principal's, with kerberos")
		}
	}
	switch c.Protection {
	case "", "authentication", "integrity", "privacy":
	default:
		problem("hdfs.protection", "is none of authentication, integrity, privacy")
	}
	if c.Timeout < 0 {
		problem("hdfs.timeout", "is negative")
	}
	return out
}
