// SPDX-License-Identifier: MPL-2.0

package dir_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/dir"
	"github.com/reattach/reattach/host/target"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// place is a directory and a manager that watches it.
type place struct {
	*testing.T
	dir string
	m   *discovery.Manager
}

// watch starts a manager. In a bubble, opts must have PollOnly. There, files
// seem to be written far in the future, so that only looking twice can tell
// whether they have settled.
func watch(t *testing.T, opts dir.Options) *place {
	t.Helper()
	src, err := dir.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	m, err := discovery.NewManager(discovery.Options{Sources: []discovery.Source{src}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return &place{T: t, dir: opts.Dir, m: m}
}

func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

func (p *place) write(name, content string, mode os.FileMode) {
	p.Helper()
	write(p.T, p.path(name), content, mode)
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sum(content string) string {
	s := sha256.Sum256([]byte(content))
	return "sha256:" + hex.EncodeToString(s[:])
}

// offered gives fingerprints by plugin.
func offered(set *discovery.Set) map[string]string {
	out := map[string]string{}
	for _, e := range set.Endpoints {
		out[e.Plugin] = e.Fingerprint
	}
	return out
}

// want compares what is offered now; in a bubble.
func (p *place) want(reason string, want map[string]string) {
	p.Helper()
	synctest.Wait()
	if diff := cmp.Diff(want, offered(p.m.Current())); diff != "" {
		p.Errorf("%s: (-want +got)\n%s", reason, diff)
	}
}

// await waits, in real time, until exactly that is offered.
func (p *place) await(reason string, want map[string]string) {
	p.Helper()
	timeout := time.After(20 * time.Second)
	for {
		if cmp.Equal(want, offered(p.m.Current())) {
			return
		}
		select {
		case <-p.m.Sets():
		case <-timeout:
			p.Fatalf("%s: not within 20 s: %s", reason, cmp.Diff(want, offered(p.m.Current())))
		}
	}
}

// bubble runs body in a bubble, with a source over a directory that held files
// from the beginning: contents by name.
func bubble(t *testing.T, files map[string]string, body func(p *place)) {
	dirName := t.TempDir()
	for name, content := range files {
		mode := os.FileMode(0o644)
		if filepath.Ext(name) == ".po" {
			mode = 0o755
		}
		write(t, filepath.Join(dirName, name), content, mode)
	}
	synctest.Test(t, func(t *testing.T) {
		body(watch(t, dir.Options{Dir: dirName, PollOnly: true}))
	})
}

func TestOffersExecutablesAndSharedObjects(t *testing.T) {
	bubble(t, map[string]string{
		"greeter-en.po": "en",
		"greeter-so.so": "so",
		"README.md":     "no plugin",
		".hidden.po":    "hidden",
	}, func(p *place) {
		must(p.T, p.m.WaitSynced(p.Context()))
		want := []target.Endpoint{
			{ID: "greeter-en@" + p.path("greeter-en.po"), Plugin: "greeter-en", Placement: target.Child, Address: p.path("greeter-en.po"), Fingerprint: sum("en"), Source: "dir"},
			{ID: "greeter-so@" + p.path("greeter-so.so"), Plugin: "greeter-so", Placement: target.InProcess, Address: p.path("greeter-so.so"), Fingerprint: sum("so"), Source: "dir"},
		}
		if diff := cmp.Diff(want, p.m.Current().Endpoints); diff != "" {
			p.Errorf("endpoints (-want +got)\n%s", diff)
		}
		if n := len(p.m.Current().Problems); n > 0 {
			p.Errorf("problems: %v", p.m.Current().Problems)
		}
	})
}

func TestPatternsAreOptions(t *testing.T) {
	dirName := t.TempDir()
	write(t, filepath.Join(dirName, "plugin-a"), "a", 0o755)
	write(t, filepath.Join(dirName, "b.po"), "b", 0o755)
	synctest.Test(t, func(t *testing.T) {
		p := watch(t, dir.Options{Dir: dirName, PollOnly: true, Executables: "plugin-*"})
		must(t, p.m.WaitSynced(t.Context()))
		p.want("only what the pattern takes", map[string]string{"plugin-a": sum("a")})
	})
}

func TestProblemsAreReported(t *testing.T) {
	self, err := os.Executable() // an ELF file, on Linux
	must(t, err)
	program, err := os.ReadFile(self)
	must(t, err)
	cases := map[string]struct {
		reason string
		make   func(t *testing.T, path string)
		want   string
	}{
		"NotExecutable": {"exec would fail", func(t *testing.T, path string) { write(t, path, "x", 0o644) }, "it is not executable: chmod +x it"},
		"Directory":     {"exec would fail", func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o755)) }, "it is a directory"},
		"BrokenLink":    {"a volume that is not mounted", func(t *testing.T, path string) { must(t, os.Symlink("nowhere", path)) }, "the symbolic link leads to nowhere, which does not exist"},
		"LinkLoop":      {"Stat fails", func(t *testing.T, path string) { must(t, os.Symlink(filepath.Base(path), path)) }, "it cannot be examined: too many levels of symbolic links"},
		"Empty":         {"a full disk leaves such", func(t *testing.T, path string) { write(t, path, "", 0o755) }, "it is empty"},
		"Unreadable": {"its digest cannot be known", func(t *testing.T, path string) {
			if os.Geteuid() == 0 {
				t.Skip("root reads everything")
			}
			write(t, path, "x", 0o111)
		}, "it cannot be read: permission denied"},
		"Truncated": {"a copy that stalled looks settled", func(t *testing.T, path string) {
			write(t, path, string(program[:len(program)/2]), 0o755)
		}, "it is incomplete, as if its copying had stopped"},
		"LastByte": {"nearly is not enough", func(t *testing.T, path string) {
			write(t, path, string(program[:len(program)-1]), 0o755)
		}, "it is incomplete, as if its copying had stopped"},
		"HardlyBegun": {"not even its headers are there", func(t *testing.T, path string) {
			write(t, path, string(program[:32]), 0o755)
		}, "it is incomplete, as if its copying had stopped"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dirName := t.TempDir()
			tc.make(t, filepath.Join(dirName, "x.po"))
			write(t, filepath.Join(dirName, "good.po"), "good", 0o755)
			synctest.Test(t, func(t *testing.T) {
				p := watch(t, dir.Options{Dir: dirName, PollOnly: true})
				must(t, p.m.WaitSynced(t.Context()))
				p.want("the others are offered all the same", map[string]string{"good": sum("good")})
				want := []target.Problem{{Plugin: "x", Subject: p.path("x.po"), Reason: tc.want, Source: "dir"}}
				if diff := cmp.Diff(want, p.m.Current().Problems); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
				}
				if diff := cmp.Diff([]target.Plugin{{Name: "good"}, {Name: "x"}}, p.m.Current().Plugins); diff != "" {
					t.Errorf("it is known as a plugin (-want +got)\n%s", diff)
				}
				must(t, os.RemoveAll(p.path("x.po")))
				p.write("x.po", "repaired", 0o755)
				time.Sleep(6 * time.Second)
				p.want("repaired", map[string]string{"good": sum("good"), "x": sum("repaired")})
				if n := len(p.m.Current().Problems); n > 0 {
					t.Errorf("problems after the repair: %v", p.m.Current().Problems)
				}
			})
		})
	}
}

func TestNameThatCannotBeOne(t *testing.T) {
	bubble(t, map[string]string{"a b.po": "x"}, func(p *place) {
		must(p.T, p.m.WaitSynced(p.Context()))
		want := []target.Problem{{Subject: p.path("a b.po"), Reason: `plugin name "a b": character ' ' is not allowed`, Source: "dir"}}
		if diff := cmp.Diff(want, p.m.Current().Problems); diff != "" {
			p.Errorf("problems (-want +got)\n%s", diff)
		}
		p.want("not offered", map[string]string{})
	})
}

func TestMissingDirectory(t *testing.T) {
	dirName := filepath.Join(t.TempDir(), "bin")
	synctest.Test(t, func(t *testing.T) {
		p := watch(t, dir.Options{Dir: dirName, PollOnly: true})
		must(t, p.m.WaitSynced(t.Context()))
		want := []target.Problem{{Subject: dirName, Reason: "the plugin directory does not exist: create it; it is looked for every 5s", Source: "dir"}}
		if diff := cmp.Diff(want, p.m.Current().Problems); diff != "" {
			t.Errorf("problems (-want +got)\n%s", diff)
		}
		must(t, os.Mkdir(dirName, 0o755))
		p.write("a.po", "a", 0o755)
		time.Sleep(6 * time.Second)
		p.want("it may appear later", map[string]string{"a": sum("a")})
		must(t, os.RemoveAll(dirName))
		time.Sleep(6 * time.Second)
		p.want("when it is gone, so are its files", map[string]string{})
	})
}

func TestNewRefusesBadOptions(t *testing.T) {
	cases := map[string]dir.Options{
		"make directory source: option Dir is empty":                                        {},
		`make directory source: pattern "[": syntax error in pattern`:                       {Dir: "/x", Executables: "["},
		"make directory source: option Rescan -1s, Settle 300ms: neither may be below zero": {Dir: "/x", Rescan: -time.Second},
		"make directory source: option Rescan 5s, Settle -1ns: neither may be below zero":   {Dir: "/x", Settle: -1},
		`make directory source: pattern "a[": syntax error in pattern`:                      {Dir: "/x", SharedObjects: "a["},
	}
	for want, opts := range cases {
		_, err := dir.New(opts)
		if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

func BenchmarkRescan(b *testing.B) {
	dirName := b.TempDir()
	for i := range 100 {
		if err := os.WriteFile(filepath.Join(dirName, fmt.Sprintf("p%d.po", i)), slices.Repeat([]byte("x"), 1<<16), 0o755); err != nil {
			b.Fatal(err)
		}
	}
	look, err := dir.Looker(dir.Options{Dir: dirName, Settle: time.Nanosecond})
	if err != nil {
		b.Fatal(err)
	}
	for range 2 { // the first looks read the files, the others only look
		if err := look(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := look(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
