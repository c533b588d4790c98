// SPDX-License-Identifier: MPL-2.0

package dir_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/reattach/reattach/host/discovery/dir"
)

// In these tests time.Sleep moves the bubble's clock and takes no time.

func TestFirstStateWaitsForFilesToSettle(t *testing.T) {
	bubble(t, map[string]string{"a.po": "a"}, func(p *place) {
		began := time.Now()
		must(p.T, p.m.WaitSynced(p.Context()))
		if took := time.Since(began); took < 300*time.Millisecond || took > 600*time.Millisecond {
			p.Errorf("the first state took %s, want the 300 ms in which a file settles", took)
		}
		p.want("it holds the file", map[string]string{"a": sum("a")})
	})
}

func TestFirstStateDoesNotWaitForever(t *testing.T) {
	bubble(t, map[string]string{"good.po": "good", "growing.po": "-"}, func(p *place) {
		began := time.Now()
		content := ""
		for !p.m.Current().Synced && time.Since(began) < time.Minute {
			content += "x"
			p.write("growing.po", content, 0o755)
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		if took := time.Since(began); took > 7*time.Second {
			p.Errorf("the first state took %s, want about 3 s, at most 6 s", took)
		}
		p.want("without the one that grows", map[string]string{"good": sum("good")})
		problems := p.m.Current().Problems
		if len(problems) != 1 || problems[0].Reason != "it keeps changing, as if it were still being written" {
			p.Errorf("problems: %v", problems)
		}
	})
}

func TestHalfCopiedFileIsNotOffered(t *testing.T) {
	bubble(t, nil, func(p *place) {
		must(p.T, p.m.WaitSynced(p.Context()))
		content := ""
		for range 80 { // 8 s, longer than a rescan
			content += "x"
			p.write("a.po", content, 0o755)
			time.Sleep(100 * time.Millisecond)
			p.want("while it grows", map[string]string{})
		}
		time.Sleep(5 * time.Second)
		p.want("when it has settled", map[string]string{"a": sum(content)})
	})
}

func TestStalledCopyIsNotOffered(t *testing.T) {
	self, err := os.Executable()
	must(t, err)
	program, err := os.ReadFile(self)
	must(t, err)
	bubble(t, map[string]string{"a.po": "old"}, func(p *place) {
		must(p.T, p.m.WaitSynced(p.Context()))
		p.write("a.po", string(program[:len(program)*9/10]), 0o755)
		time.Sleep(time.Hour)
		p.want("the old one stays", map[string]string{"a": sum("old")})
		if problems := p.m.Current().Problems; len(problems) != 1 || !strings.Contains(problems[0].Reason, "incomplete") {
			p.Errorf("problems: %v", problems)
		}
		p.write("a.po", string(program), 0o755)
		time.Sleep(6 * time.Second)
		p.want("complete", map[string]string{"a": sum(string(program))})
	})
}

func TestReplacementNeverWithdraws(t *testing.T) {
	const step = 100 * time.Millisecond
	cases := map[string]struct {
		reason string
		do     func(p *place)
	}{
		"RemoveAndCopy": {"cp --remove-destination", func(p *place) {
			must(p.T, os.Remove(p.path("a.po")))
			time.Sleep(step)
			p.write("a.po", "n", 0o755)
			time.Sleep(step)
			p.write("a.po", "new", 0o755)
		}},
		"Install": {"install(1) sets the mode last", func(p *place) {
			must(p.T, os.Remove(p.path("a.po")))
			p.write("a.po", "new", 0o600)
			time.Sleep(step)
			must(p.T, os.Chmod(p.path("a.po"), 0o755))
		}},
		"Rename": {"mv", func(p *place) {
			p.write(".a.po.tmp", "new", 0o755)
			must(p.T, os.Rename(p.path(".a.po.tmp"), p.path("a.po")))
		}},
		"Overwrite": {"cp onto a file that is not running", func(p *place) {
			p.write("a.po", "", 0o755)
			time.Sleep(step)
			p.write("a.po", "new", 0o755)
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dirName := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				// A rescan every 50 ms sees every state in between.
				write(t, filepath.Join(dirName, "a.po"), "old", 0o755)
				p := watch(t, dir.Options{Dir: dirName, PollOnly: true, Rescan: 50 * time.Millisecond})
				must(t, p.m.WaitSynced(t.Context()))
				for set := range p.m.Sets() { // not the one that was empty, if any
					if set.Synced {
						break
					}
				}
				tc.do(p)
				set := <-p.m.Sets()
				if diff := cmp.Diff(map[string]string{"a": sum("new")}, offered(set)); diff != "" {
					t.Errorf("%s: the next set after the old one (-want +got)\n%s", tc.reason, diff)
				}
			})
		})
	}
}

func TestRemovalWithdraws(t *testing.T) {
	bubble(t, map[string]string{"a.po": "a", "b.po": "b"}, func(p *place) {
		must(p.T, p.m.WaitSynced(p.Context()))
		must(p.T, os.Remove(p.path("a.po")))
		must(p.T, os.Chmod(p.path("b.po"), 0o644))
		time.Sleep(6 * time.Second)
		p.want("one was removed, one may no longer be run", map[string]string{})
	})
}

func TestTouchChangesNothing(t *testing.T) {
	bubble(t, map[string]string{"a.po": "a"}, func(p *place) {
		must(p.T, p.m.WaitSynced(p.Context()))
		before := p.m.Current().Generation
		later := time.Now().Add(time.Hour)
		must(p.T, os.Chtimes(p.path("a.po"), later, later))
		time.Sleep(time.Minute)
		p.want("the content counts, not the time", map[string]string{"a": sum("a")})
		if now := p.m.Current().Generation; now != before {
			p.Errorf("generation %d became %d", before, now)
		}
	})
}

func TestOldFileIsOfferedAtOnce(t *testing.T) {
	dirName := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		write(t, dirName+"/a.po", "a", 0o755)
		old := time.Now().Add(-time.Hour) // by the bubble's clock
		must(t, os.Chtimes(dirName+"/a.po", old, old))
		p := watch(t, dir.Options{Dir: dirName, PollOnly: true})
		began := time.Now()
		must(t, p.m.WaitSynced(t.Context()))
		if took := time.Since(began); took != 0 {
			t.Errorf("the first state took %s although the file is old", took)
		}
		p.want("it holds the file", map[string]string{"a": sum("a")})
	})
}
