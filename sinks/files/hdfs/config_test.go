package hdfs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/colinmarc/hdfs/v2"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cdc/fault"
)

func TestSplit(t *testing.T) {
	for dir, want := range map[string][3]string{
		"hdfs://nn1:9000/a/b/":  {"nn1:9000", "/a/b", ""},
		"hdfs://cluster/a//b":   {"cluster", "/a/b", ""},
		"hdfs:///a/100%":        {"", "/a/100%", ""},
		"hdfs://nn1:9000/":      {"", "", "names no folder below /"},
		"hdfs://user@nn1/a":     {"", "", "is not hdfs://HOST:PORT/PATH"},
		"s3://bucket/a":         {"", "", "is not hdfs://HOST:PORT/PATH"},
		"hdfs://nn1:9000/../..": {"", "", "names no folder below /"},
	} {
		host, folder, problem := Split(dir)
		if got := [3]string{host, folder, problem}; got != want {
			t.Errorf("%s: %q, want %q", dir, got, want)
		}
	}
}

// TestOptions looks at which NameNodes are asked, and that a cluster with Kerberos is not asked without.
func TestOptions(t *testing.T) {
	conf := t.TempDir()
	text := `<configuration>
<property><name>fs.defaultFS</name><value>hdfs://main</value></property>
<property><name>dfs.ha.namenodes.main</name><value>b,a</value></property>
<property><name>dfs.namenode.rpc-address.main.b</name><value>two:8020</value></property>
<property><name>dfs.namenode.rpc-address.main.a</name><value>one:8020</value></property>
</configuration>`
	if err := os.WriteFile(filepath.Join(conf, "hdfs-site.xml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		host string
		cfg  Config
		want []string
	}{
		{"nn1", Config{User: "u"}, []string{"nn1:8020"}},
		{"nn1:9", Config{User: "u"}, []string{"nn1:9"}},
		{"main", Config{User: "u", Conf: conf}, []string{"one:8020", "two:8020"}},
		{"", Config{User: "u", Conf: conf}, []string{"one:8020", "two:8020"}},
		{"other", Config{User: "u", Conf: conf}, []string{"other:8020"}},
		{"main", Config{User: "u", Conf: conf, Namenodes: []string{"x:1"}}, []string{"x:1"}},
	} {
		o, err := c.cfg.options(c.host, &connections{})
		if err != nil || !slices.Equal(o.Addresses, c.want) {
			t.Errorf("%s: %q, %v, want %q", c.host, o.Addresses, err, c.want)
		}
	}
	secure := strings.Replace(text, "</configuration>", "<property><name>hadoop.security.authentication</name><value>kerberos</value></property></configuration>", 1)
	if err := os.WriteFile(filepath.Join(conf, "hdfs-site.xml"), []byte(secure), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (&Config{User: "u", Conf: conf}).options("main", &connections{}); !fault.Has(err, fault.ConfigInvalid) {
		t.Errorf("Kerberos and no login: %v", err)
	}
}

func TestValidate(t *testing.T) {
	bad := (&Config{
		Namenodes: []string{"no-port"}, User: "u", Kerberos: &KerberosConfig{Principal: "cdc"}, Protection: "much", Timeout: -1,
	}).Validate("x", "hdfs:///a")
	var paths []string
	for _, p := range bad {
		paths = append(paths, p.Path)
	}
	want := []string{"x.hdfs.namenodes", "x.hdfs.kerberos.principal", "x.hdfs.kerberos.keytab", "x.hdfs.user", "x.hdfs.protection", "x.hdfs.timeout"}
	if !slices.Equal(paths, want) {
		t.Errorf("%q, want %q", paths, want)
	}
	var none *Config
	if len(none.Validate("x", "hdfs://nn/a")) != 0 || len(none.Validate("x", "hdfs:///a")) != 1 {
		t.Error("without settings dir must name the NameNode")
	}
}

// TestLibrary finds what call.go needs of the library, without a cluster: a new release that has it no more shows here.
func TestLibrary(t *testing.T) {
	if _, err := connection(&hdfs.Client{}); err != nil {
		t.Error(err)
	}
	for _, name := range []protoreflect.FullName{"hadoop.hdfs.RenameRequestProto", "hadoop.hdfs.RenameResponseProto"} {
		if _, err := message(name); err != nil {
			t.Error(err)
		}
	}
}
