// SPDX-License-Identifier: MPL-2.0

package expose

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-plugin"
)

// TestMistakesPause holds that a mistake is tried again at once the first time, then after pauses
// that grow, and that no other one waits for it.
func TestMistakesPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m mistakes
		wrong, other := asked{versions: []int{9}}, asked{versions: []int{8}}
		for _, want := range []time.Duration{0, firstPause, 2 * firstPause, 4 * firstPause} {
			m.failed(wrong, plugin.ErrIncompatible)
			p := m.of(wrong)
			if left := max(p.left(), 0); left != want || !errors.Is(p.err(), plugin.ErrIncompatible) {
				t.Errorf("a pause of %v (%v), want %v", left, p.err(), want)
			}
		}
		if m.of(other) != nil {
			t.Error("another one waits as well")
		}
		for range 20 {
			m.failed(wrong, plugin.ErrIncompatible)
		}
		if left := m.of(wrong).left(); left != lastPause {
			t.Errorf("it grows to %v, want %v", left, lastPause)
		}
		m.forget(wrong)
		if m.of(wrong) != nil {
			t.Error("it is remembered, though it was none")
		}
	})
}

// TestMistakesAreBounded has more mistakes made than are remembered: the latest are.
func TestMistakesAreBounded(t *testing.T) {
	var m mistakes
	for v := range maxMistakes + 1 {
		m.failed(asked{versions: []int{v}}, plugin.ErrIncompatible)
	}
	if len(m) != maxMistakes || m.of(asked{versions: []int{0}}) != nil || m.of(asked{versions: []int{1}}) == nil {
		t.Errorf("%d are remembered, want the latest %d", len(m), maxMistakes)
	}
}

// TestJoinedAnothersMistake has the right host come while the shared child is being started for
// the wrong one, which comes again as fast as it can: the right one is served at its first try,
// and the wrong one has few processes started.
func TestJoinedAnothersMistake(t *testing.T) {
	cases := map[string]func(*plugin.RelayHost){
		"versions": func(h *plugin.RelayHost) { h.Versions = []int{9} },
		"cookie":   func(h *plugin.RelayHost) { h.Cookie.MagicCookieKey = "OTHER_PLUGIN" },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			p, _ := newTestPool(t, Options{})
			if name == "cookie" {
				p.opts.Cookie, p.starter.opts.Cookie, p.cookie = plugin.HandshakeConfig{}, plugin.HandshakeConfig{}, plugin.HandshakeConfig{}
			}
			wrong, _ := attached(t, 5)
			spoil(wrong)
			a, err := p.askedBy(wrong)
			if err != nil {
				t.Fatal(err)
			}
			first, err := p.enter(wrong, a) // is being filled for the wrong host
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan struct{})
			var again sync.WaitGroup
			again.Go(func() {
				for {
					_, _ = p.choose(t.Context(), wrong)
					select {
					case <-served:
						return
					default:
					}
				}
			})
			right, _ := attached(t, 5)
			if _, err := p.choose(t.Context(), right); err != nil {
				t.Errorf("the right host: %v", err)
			}
			close(served)
			again.Wait()
			p.leave(first)
		})
	}
}

// TestMistakesOccupyNoSlot has the wrong host come within its pause. It is told so, with its
// mistake, and whoever comes at that time finds no slot that is being filled for it.
func TestMistakesOccupyNoSlot(t *testing.T) {
	p, _ := newTestPool(t, Options{})
	wrong, _ := attached(t, 9)
	a, err := p.askedBy(wrong)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 { // a pause longer than this test
		p.starter.note(a, fmt.Errorf("as it was: %w", plugin.ErrIncompatible))
	}
	if _, err := p.enter(wrong, a); !errors.Is(err, plugin.ErrIncompatible) {
		t.Errorf("entered: %v", err)
	}
	if len(p.slots) > 0 {
		t.Error("a slot is filled for it")
	}
	if _, err := p.starter.start(t.Context(), a); !errors.Is(err, plugin.ErrIncompatible) || len(children(t)) > 0 {
		t.Errorf("started: %v", err)
	}
}
