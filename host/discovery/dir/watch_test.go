// SPDX-License-Identifier: MPL-2.0

package dir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/dir"
	"github.com/reattach/reattach/host/discovery/sourcetest"
)

// quick settles fast and never rescans by itself, so that only hints help.
func quick(dirName string) dir.Options {
	return dir.Options{Dir: dirName, Settle: 20 * time.Millisecond, Rescan: time.Hour}
}

func TestNotificationsAreHints(t *testing.T) {
	p := watch(t, quick(t.TempDir()))
	must(t, p.m.WaitSynced(t.Context()))
	p.write("a.po", "a", 0o755)
	p.await("a file came", map[string]string{"a": sum("a")})
	p.write("a.po", "another", 0o755)
	p.await("it changed", map[string]string{"a": sum("another")})
	must(t, os.Remove(p.path("a.po")))
	p.await("it went", map[string]string{})
}

func TestConfigMapSwap(t *testing.T) {
	// This is how the kubelet updates a ConfigMap's or Secret's volume.
	dirName := t.TempDir()
	put := func(version, content string) {
		must(t, os.Mkdir(filepath.Join(dirName, version), 0o755))
		write(t, filepath.Join(dirName, version, "a.po"), content, 0o755)
		must(t, os.Symlink(version, filepath.Join(dirName, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dirName, "..data_tmp"), filepath.Join(dirName, "..data")))
	}
	put("..2026_01", "old")
	must(t, os.Symlink("..data/a.po", filepath.Join(dirName, "a.po")))
	p := watch(t, quick(dirName))
	must(t, p.m.WaitSynced(t.Context()))
	p.await("behind two links", map[string]string{"a": sum("old")})
	put("..2026_02", "new")
	p.await("the inner link was swapped", map[string]string{"a": sum("new")})
}

func TestChangeBehindALinkIsFoundByTheRescan(t *testing.T) {
	dirName, elsewhere := t.TempDir(), t.TempDir()
	write(t, filepath.Join(elsewhere, "build"), "old", 0o755)
	must(t, os.Symlink(filepath.Join(elsewhere, "build"), filepath.Join(dirName, "a.po")))
	opts := quick(dirName)
	opts.Rescan = 20 * time.Millisecond
	p := watch(t, opts)
	p.await("the link is followed", map[string]string{"a": sum("old")})
	write(t, filepath.Join(elsewhere, "build"), "rebuilt", 0o755)
	p.await("no notification tells of this", map[string]string{"a": sum("rebuilt")})
}

func TestDirectoryThatIsMadeAnew(t *testing.T) {
	dirName := filepath.Join(t.TempDir(), "bin")
	must(t, os.Mkdir(dirName, 0o755))
	opts := quick(dirName)
	opts.Rescan = 20 * time.Millisecond
	p := watch(t, opts)
	p.write("a.po", "a", 0o755)
	p.await("at first", map[string]string{"a": sum("a")})
	must(t, os.RemoveAll(dirName))
	p.await("it is gone", map[string]string{})
	must(t, os.Mkdir(dirName, 0o755))
	p.write("b.po", "b", 0o755)
	p.await("another one has its name", map[string]string{"b": sum("b")})
}

// world is a directory with one file for each instance.
type world struct {
	t      *testing.T
	dir    string
	source *dir.Source
	builds int
}

func newWorld(t *testing.T, dirName string, opts dir.Options) sourcetest.World {
	opts.Dir = dirName
	source, err := dir.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, dir: dirName, source: source}
}

func (w *world) Source() discovery.Source { return w.source }

func (w *world) Add(n int) string {
	// Complete at once, as mv does it. During an outage the directory
	// is elsewhere.
	path := fmt.Sprintf("%s/p%d.po", w.dir, n)
	within := w.dir
	if _, err := os.Stat(w.away()); err == nil {
		within = w.away()
	}
	w.builds++
	tmp := filepath.Join(within, ".tmp")
	if err := os.WriteFile(tmp, fmt.Appendf(nil, "build %d", w.builds), 0o755); err != nil {
		w.t.Error(err)
	}
	if err := os.Rename(tmp, filepath.Join(within, filepath.Base(path))); err != nil {
		w.t.Error(err)
	}
	return fmt.Sprintf("p%d@%s", n, path)
}

func (w *world) Replace(n int) { w.Add(n) }

func (w *world) Remove(n int) {
	if err := os.Remove(fmt.Sprintf("%s/p%d.po", w.dir, n)); err != nil {
		w.t.Error(err)
	}
}

func (w *world) away() string { return w.dir + ".away" }

// Break puts a file where the directory was. A directory that is simply
// gone would be no outage: its files are gone then.
func (w *world) Break() {
	must(w.t, os.Rename(w.dir, w.away()))
	write(w.t, w.dir, "no directory", 0o644)
}

func (w *world) Mend() {
	must(w.t, os.Remove(w.dir))
	must(w.t, os.Rename(w.away(), w.dir))
}

func TestConformance(t *testing.T) {
	newDir := func(t *testing.T) string {
		dirName := filepath.Join(t.TempDir(), "bin")
		must(t, os.Mkdir(dirName, 0o755))
		return dirName
	}
	t.Run("Notified", func(t *testing.T) {
		// The rescan is for the outage, of whose end nothing tells.
		often := dir.Options{Settle: 10 * time.Millisecond, Rescan: 50 * time.Millisecond}
		sourcetest.Suite{New: func(t *testing.T) sourcetest.World {
			return newWorld(t, newDir(t), often)
		}}.Run(t)
	})
	t.Run("Polled", func(t *testing.T) {
		sourcetest.Suite{
			Bubble: true,
			New: func(t *testing.T) sourcetest.World {
				return newWorld(t, newDir(t), dir.Options{PollOnly: true})
			},
		}.Run(t)
	})
}
