// SPDX-License-Identifier: MPL-2.0

package expose

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/attach"
)

// startsAtOnce bounds how many children are being started.
const startsAtOnce = 4

// child is a process that was started.
type child struct {
	*plugin.Relayed
	asked asked
	since time.Time
}

func (c *child) id() string { return c.Client().ID() }

func (c *child) ended() bool { return c.Client().Exited() }

// starter starts children. After a failure it lets some time pass, and more after each
// further one: of what one host has named wrongly before it is tried again, and of anything
// else before any start.
type starter struct {
	opts  Options
	slots chan struct{} // one item for each start that is under way

	mu       sync.Mutex
	all      pause // of every start
	mistakes mistakes
}

func newStarter(o Options) *starter {
	return &starter{opts: o, slots: make(chan struct{}, startsAtOnce)}
}

// start starts a child, within Options.StartTimeout, after the pause that a failure has
// made. It fails at once if that is a long one, and is given up when ctx ends.
func (s *starter) start(ctx context.Context, a asked) (*child, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return nil, errors.New("other children are being started: try again")
	}
	if err := s.refuse(a); err != nil {
		return nil, err
	}
	if err := s.await(ctx); err != nil {
		return nil, err
	}
	c, err := s.run(ctx, a)
	s.note(a, err)
	return c, err
}

// refuse says why nothing is started for what a host has named wrongly shortly before. Nobody
// waits for the end of that pause, as the right host would have to as well.
func (s *starter) refuse(a asked) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.mistakes.of(a); p != nil && p.left() > 0 {
		return p.err()
	}
	return nil
}

// shortPause is how much of a pause is waited for.
const shortPause = time.Second

// await waits for the end of a short pause of all.
func (s *starter) await(ctx context.Context) error {
	s.mu.Lock()
	p := s.all
	s.mu.Unlock()
	if p.left() > shortPause {
		return p.err()
	}
	timer := time.NewTimer(max(p.left(), 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *starter) run(ctx context.Context, a asked) (*child, error) {
	words := new(attach.Words)
	config := &plugin.ClientConfig{
		HandshakeConfig:  a.cookie,
		VersionedPlugins: map[int]plugin.PluginSet{},
		Cmd:              exec.Command(s.opts.Command[0], s.opts.Command[1:]...),
		StartTimeout:     s.opts.StartTimeout,
		AutoMTLS:         s.opts.AutoMTLS,
		EndWithHost:      true,
		MaxMessageBytes:  s.opts.Network.MaxMessageBytes,
		Stderr:           words,
		SyncStdout:       s.opts.Stdout,
		SyncStderr:       s.opts.Stderr,
		Logger:           hclog.NewNullLogger(), // what it logs goes to Stderr as it is
	}
	if s.opts.Stderr != nil {
		config.Stderr = io.MultiWriter(words, s.opts.Stderr)
	}
	for _, v := range a.versions {
		config.VersionedPlugins[v] = plugin.PluginSet{}
	}
	relayed, err := plugin.StartRelayed(ctx, config)
	if err != nil {
		var ended error
		if state := config.Cmd.ProcessState; state != nil {
			ended = errors.New(state.String())
		}
		return nil, &startError{s.opts.Command[0], words.Explain(err, ended, a.cookie.MagicCookieKey)}
	}
	return &child{Relayed: relayed, asked: a, since: time.Now()}, nil
}

// startError says in one line why a child did not start. What guesses follow in further
// lines are for somebody who looks at the executable.
type startError struct {
	path string
	err  error
}

// Error implements error with the first line of why it did not start.
func (e *startError) Error() string {
	line, _, _ := strings.Cut(e.err.Error(), "\n")
	return "start " + e.path + ": " + line
}

// Unwrap gives all of why.
func (e *startError) Unwrap() error { return e.err }

// note takes the outcome of an attempt. A child that has not lived for long is another
// failure, which whoever notices its end notes as well.
func (s *starter) note(a asked, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.mistakes.forget(a)
	case s.opts.isHostsMistake(err): // one host could keep all others waiting
		s.mistakes.failed(a, err)
	default:
		s.all.failed(err)
	}
}

// served notes that a child has lived for long enough to be no failure.
func (s *starter) served() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.failures = 0
}

// pause is how long nothing is started for what is asked.
func (s *starter) pause(a asked) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.all.left()
	if p := s.mistakes.of(a); p != nil {
		left = max(left, p.left())
	}
	return max(left, 0)
}
