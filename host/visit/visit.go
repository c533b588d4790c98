// SPDX-License-Identifier: MPL-2.0

// Package visit goes to each of a set of plugins once: it attaches, asks what each
// kind has to say, and leaves. Leaving stops a plugin that this host started and
// detaches from any other.
package visit

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/tlsfile"
)

// Loaded is a shared object that was loaded into this process.
type Loaded struct {
	// Protocol and Version are what was agreed on.
	Protocol plugin.Protocol
	Version  int
	// Dispense gives the stub of a kind.
	Dispense func(kind string) (any, error)
	// Leave ends the session; the object stays loaded.
	Leave func()
}

// Options say how plugins are visited. All fields but Load and those of TLS are
// required.
type Options struct {
	// Kinds are what the host knows.
	Kinds []Kind
	// Versions are the versions of the contract that the host speaks.
	Versions []int
	// AttachTimeout bounds starting or reaching a plugin and shaking hands.
	AttachTimeout time.Duration
	// CallTimeout bounds each question.
	CallTimeout time.Duration
	// TLS names the files with which network plugins are reached by TLS, except for
	// PlainPlugins. Without any, they are reached by plain TCP.
	TLS          tlsfile.Files
	PlainPlugins []string
	// Load loads the shared object at a path. kinds are what the host knows of each
	// version. Nil refuses shared objects.
	Load func(ctx context.Context, path string, kinds map[int]plugin.PluginSet) (*Loaded, error)
	// Logger receives what plugins log, and what happens on the way.
	Logger hclog.Logger
}

// All visits every place at the same time and gives the reports in the order of
// places. When ctx ends, it leaves every plugin and says so in the reports.
func All(ctx context.Context, o Options, places []Place) []Report {
	reports := make([]Report, len(places))
	var visits sync.WaitGroup
	for i, p := range places {
		visits.Go(func() { reports[i] = one(ctx, o, p) })
	}
	visits.Wait()
	return reports
}

func one(ctx context.Context, o Options, p Place) Report {
	r := Report{Place: p}
	session, err := attach(ctx, o, p)
	if err != nil {
		r.Err = err
		return r
	}
	defer session.leave()
	r.Protocol, r.Version = session.protocol, session.version
	r.Kinds = askAll(ctx, o, session)
	return r
}

// askAll puts the questions of every kind. It stops at the first that got no answer
// in time, since the others would only wait as long.
func askAll(ctx context.Context, o Options, s *session) []KindReport {
	var reports []KindReport
	for _, k := range o.Kinds {
		r := ask(ctx, o, s, k)
		reports = append(reports, r)
		if r.gaveUp() {
			break
		}
	}
	return reports
}

// ask puts the questions of one kind.
func ask(ctx context.Context, o Options, s *session, k Kind) KindReport {
	r := KindReport{Name: k.name}
	stub, err := within(ctx, o.CallTimeout, func() (any, error) { return s.dispense(k.name) })
	if lacksKind(err) {
		return r
	}
	r.Served = true
	if err != nil {
		r.Err = err
		return r
	}
	calls, err := k.calls(stub)
	if err != nil {
		r.Err = err
		return r
	}
	for _, c := range calls {
		text, err := within(ctx, o.CallTimeout, c.Do)
		if lacksKind(err) {
			return KindReport{Name: k.name}
		}
		r.Answers = append(r.Answers, Answer{Method: c.Method, Text: text, Err: err})
		if unanswered(err) {
			break
		}
	}
	return r
}
