package registry_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"cdc/fault"
	"cdc/format"
	"cdc/internal/settings"
	"cdc/sinks/kafka/registry"
)

// fake is a registry in this process: that of the client library, in which schemas are compatible unless one says "bad".
type fake struct {
	*srfake.Registry
	mu     sync.Mutex
	calls  []string
	status int // answered in place of all else, if not 0
	auth   string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.calls = append(f.calls, r.Method+" "+r.URL.Path)
	status := f.status
	f.auth = r.Header.Get("Authorization")
	f.mu.Unlock()
	if status != 0 {
		http.Error(w, `{"error_code": `+strings.Repeat("5", 5)+`, "message": "not today"}`, status)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/compatibility/") {
		var s sr.Schema
		if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer := map[string]any{"is_compatible": true}
		if strings.Contains(s.Schema, "bad") && !strings.Contains(r.URL.Path, "/subjects/t-value-3/") {
			answer = map[string]any{"is_compatible": false, "messages": []string{"field bad has no default"}}
		}
		_ = json.NewEncoder(w).Encode(answer)
		return
	}
	f.Handler().ServeHTTP(w, r)
}

// sent is what the last request was authorized by.
func (f *fake) sent() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.auth
}

func (f *fake) set(status int) {
	f.mu.Lock()
	f.status = status
	f.mu.Unlock()
}

// count gives how many requests began with prefix.
func (f *fake) count(prefix string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

func newFake(t *testing.T) (f *fake, url string) {
	f = &fake{Registry: srfake.New()}
	s := httptest.NewServer(f)
	t.Cleanup(func() { s.Close(); f.Close() })
	return f, s.URL
}

func open(t *testing.T, c registry.Config) *registry.Client {
	t.Helper()
	if p := c.Validate("schema_registry"); len(p) > 0 {
		t.Fatal(p)
	}
	r, err := registry.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func schema(name string, key bool) format.Schema {
	text := `{"type":"record","name":"` + name + `","namespace":"cdc","fields":[{"name":"id","type":"int"}]}`
	return format.Schema{Subject: format.Subject{Topic: "t", Record: "cdc." + name, Key: key}, Text: []byte(text)}
}

func TestID(t *testing.T) {
	f, url := newFake(t)
	c := open(t, registry.Config{URLs: []string{url}})
	ask := func(s format.Schema) uint32 {
		t.Helper()
		id, err := c.ID(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	a, k := ask(schema("A", false)), ask(schema("A", true))
	if !f.SubjectExists("t-value") || !f.SubjectExists("t-key") {
		t.Fatal("subjects are not those of TopicNameStrategy")
	}
	if a != k {
		t.Errorf("one schema has the ids %d and %d", a, k)
	}
	b := ask(schema("B", false))
	if b == a {
		t.Error("two schemas have one id")
	}
	before := f.count("")
	if ask(schema("A", false)) != a || ask(schema("B", false)) != b || f.count("") != before {
		t.Error("what is known is asked for again")
	}
	// Another process finds them, and registers nothing.
	registered := f.count("POST /subjects/t-value/versions")
	c = open(t, registry.Config{URLs: []string{url}, Register: new(bool)})
	if ask(schema("A", false)) != a || ask(schema("B", false)) != b || f.count("POST /subjects/t-value/versions") != registered {
		t.Error("registered schemas are not found again")
	}
	if _, err := c.ID(t.Context(), schema("C", false)); !fault.Has(err, fault.RegistryMissing) {
		t.Errorf("%v, want %s", err, fault.RegistryMissing)
	}
	for by, subject := range map[string]string{"record": "cdc.D", "topic_record": "t-cdc.D"} {
		c = open(t, registry.Config{URLs: []string{url}, Subjects: by})
		if ask(schema("D", false)); !f.SubjectExists(subject) {
			t.Errorf("%s does not make subject %s", by, subject)
		}
	}
}

func TestIncompatible(t *testing.T) {
	f, url := newFake(t)
	c := open(t, registry.Config{URLs: []string{url}})
	if _, err := c.ID(t.Context(), schema("A", false)); err != nil {
		t.Fatal(err)
	}
	_, err := c.ID(t.Context(), schema("bad", false))
	if !fault.Has(err, fault.RegistryIncompatible) || !strings.Contains(err.Error(), "field bad has no default") {
		t.Fatalf("%v, want %s and why", err, fault.RegistryIncompatible)
	}
	if n := f.count("POST /subjects/t-value/versions"); n != 1 {
		t.Errorf("%d schemas were registered", n)
	}
	// Two subjects stand in its way: the third takes it, and has it afterwards.
	f.SeedSchema("t-value-2", 1, 77, sr.Schema{Schema: string(schema("E", false).Text)})
	f.SeedSchema("t-value-3", 1, 78, sr.Schema{Schema: string(schema("F", false).Text)})
	c = open(t, registry.Config{URLs: []string{url}, Incompatible: "new_subject"})
	id, err := c.ID(t.Context(), schema("bad", false))
	if err != nil {
		t.Fatal(err)
	}
	c = open(t, registry.Config{URLs: []string{url}, Incompatible: "new_subject"})
	if again, err := c.ID(t.Context(), schema("bad", false)); err != nil || again != id {
		t.Errorf("%d then %d, %v", id, again, err)
	}
	if _, ok := f.GetSchema("t-value-3", 2); !ok || f.SubjectExists("t-value-4") {
		t.Error("it is not a version of the third subject")
	}
}

func TestFaults(t *testing.T) {
	f, url := newFake(t)
	for status, code := range map[int]fault.Code{
		500: fault.RegistryUnreachable, 503: fault.RegistryUnreachable, 429: fault.RegistryUnreachable, 401: fault.RegistryAccessDenied,
		403: fault.RegistryAccessDenied, 422: fault.RegistryRefused, 400: fault.RegistryRefused,
	} {
		f.set(status)
		if _, err := open(t, registry.Config{URLs: []string{url}}).ID(t.Context(), schema("A", false)); !fault.Has(err, code) {
			t.Errorf("%d is %v, want %s", status, err, code)
		}
	}
	f.set(0)
	if _, err := open(t, registry.Config{URLs: []string{url}}).ID(t.Context(), schema("A", false)); err != nil {
		t.Errorf("a registry that came back: %v", err)
	}
	nothing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(nothing.Close)
	_, err := open(t, registry.Config{URLs: []string{nothing.URL}}).ID(t.Context(), schema("A", false))
	if e, _ := fault.As(err); !fault.Has(err, fault.RegistryRefused) || !strings.Contains(e.Next, "/apis/ccompat/v7") {
		t.Errorf("a server that is no registry: %v", err)
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	if _, err := open(t, registry.Config{URLs: []string{gone.URL}}).ID(t.Context(), schema("A", false)); !fault.Has(err, fault.RegistryUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
	if _, err := open(t, registry.Config{URLs: []string{gone.URL, url}}).ID(t.Context(), schema("A", false)); err != nil {
		t.Errorf("the second of two registries: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t, registry.Config{URLs: []string{url}}).ID(ctx, schema("A", false)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled request: %v", err)
	}
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then a server sees that the client went away
		<-r.Context().Done()
	}))
	t.Cleanup(hangs.Close)
	if _, err := open(t, registry.Config{URLs: []string{hangs.URL}, Timeout: 100 * time.Millisecond}).ID(t.Context(), schema("A", false)); !fault.Has(err, fault.RegistryUnreachable) {
		t.Errorf("no answer in time: %v", err)
	}
}

func TestSecrets(t *testing.T) {
	f := &fake{Registry: srfake.New()}
	t.Cleanup(f.Close)
	s := httptest.NewTLSServer(f)
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "password")
	write := func(v string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(v+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	_, err := open(t, registry.Config{URLs: []string{s.URL}, User: "u", Password: settings.Secret{File: file}}).ID(t.Context(), schema("A", false))
	if !fault.Has(err, fault.RegistryTLSVerify) {
		t.Errorf("%v, want %s", err, fault.RegistryTLSVerify)
	}
	if f.sent() != "" {
		t.Error("a server that nobody vouches for got the password")
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pemOf(s), 0o600); err != nil {
		t.Fatal(err)
	}
	c := open(t, registry.Config{URLs: []string{s.URL}, User: "u", Password: settings.Secret{File: file}, TLS: registry.TLS{CA: ca}})
	auth := func(name string) string {
		t.Helper()
		if _, err := c.ID(t.Context(), schema(name, false)); err != nil {
			t.Fatal(err)
		}
		r := http.Request{Header: http.Header{"Authorization": {f.sent()}}}
		user, password, _ := r.BasicAuth()
		return user + ":" + password
	}
	if got := auth("A"); got != "u:first" {
		t.Error(got)
	}
	write("second")
	if got := auth("B"); got != "u:second" {
		t.Errorf("%s: a password that was changed is not read", got)
	}
	// A redirect to a place that is not in the configuration gets no password.
	stolen := make(chan string, 1)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stolen <- r.Header.Get("Authorization")
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(other.Close)
	from := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	t.Cleanup(from.Close)
	c = open(t, registry.Config{URLs: []string{from.URL}, Token: settings.Secret{File: file}})
	if _, err := c.ID(t.Context(), schema("C", false)); !fault.Has(err, fault.RegistryRefused) {
		t.Fatalf("%v, want %s", err, fault.RegistryRefused)
	}
	if got := <-stolen; got != "" {
		t.Errorf("the other host got %q", got)
	}
}

func TestCheck(t *testing.T) {
	f, url := newFake(t)
	c := open(t, registry.Config{URLs: []string{url}})
	if _, err := c.ID(t.Context(), schema("A", false)); err != nil {
		t.Fatal(err)
	}
	registered := f.count("POST /subjects/t-value/versions")
	levels := func(c *registry.Client) (out []fault.Level) {
		for _, f := range c.Check(t.Context(), []format.Schema{schema("A", false), schema("B", false), schema("bad", false), schema("K", true)}) {
			out = append(out, f.Level)
		}
		return out
	}
	want := func(c *registry.Client, want ...fault.Level) {
		t.Helper()
		got := levels(c)
		if len(got) != len(want) {
			t.Fatalf("%v, want %v", got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%v, want %v", got, want)
			}
		}
	}
	want(c, fault.Pass, fault.Fail, fault.Pass)
	want(open(t, registry.Config{URLs: []string{url}, Incompatible: "new_subject"}), fault.Pass, fault.Hint, fault.Pass)
	want(open(t, registry.Config{URLs: []string{url}, Register: new(bool)}), fault.Pass, fault.Fail, fault.Fail, fault.Fail, fault.Pass)
	if f.count("POST /subjects/t-value/versions") != registered {
		t.Error("the check registers")
	}
	f.set(500)
	want(c, fault.Fail)
}

func TestValidate(t *testing.T) {
	secret := settings.Secret{Env: "X"}
	for name, c := range map[string]registry.Config{
		"urls":         {},
		"urls[0]":      {URLs: []string{"registry:8081"}},
		"urls[1]":      {URLs: []string{"http://a", "http://u:p@b"}},
		"password":     {URLs: []string{"https://a"}, User: "u"},
		"token":        {URLs: []string{"https://a"}, User: "u", Password: secret, Token: secret},
		"tls.cert":     {URLs: []string{"https://a"}, TLS: registry.TLS{Key: "k"}},
		"subjects":     {URLs: []string{"https://a"}, Subjects: "x"},
		"incompatible": {URLs: []string{"https://a"}, Incompatible: "x"},
		"timeout":      {URLs: []string{"https://a"}, Timeout: time.Millisecond},
	} {
		p := c.Validate("r")
		if len(p) != 1 || p[0].Path != "r."+name {
			t.Errorf("%s: %v", name, p)
		}
	}
	plain := registry.Config{URLs: []string{"http://registry:8081"}, User: "u", Password: secret}
	if p := plain.Validate("r"); len(p) != 1 {
		t.Errorf("a password without encryption: %v", p)
	}
	for _, url := range []string{"http://localhost:1", "http://127.0.0.1:1/apis/ccompat/v7", "https://registry"} {
		plain.URLs = []string{url}
		if p := plain.Validate("r"); len(p) != 0 {
			t.Errorf("%s: %v", url, p)
		}
	}
}

// pemOf is the certificate of a server.
func pemOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}
