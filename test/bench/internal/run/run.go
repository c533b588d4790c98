// SPDX-License-Identifier: MPL-2.0

// Package run measures what a plan says: it starts the programs, asks them in turns, and
// keeps their answers.
package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/reattach/reattach/test/bench/internal/plan"
	"github.com/reattach/reattach/test/bench/internal/series"
	"github.com/reattach/reattach/test/bench/internal/wire"
)

// Run is one measurement of everything in a plan.
type Run struct {
	// Dir has the programs.
	Dir string
	// Log is told what is being done.
	Log io.Writer

	data    series.Data
	drivers map[string]*driver // by subject
	env     []string
	began   time.Time
	errs    []error
}

// Measure measures all sections, or until ctx ends. Its error joins what could not be
// measured; the rest was.
func (r *Run) Measure(ctx context.Context, sections []plan.Section) (*series.Data, error) {
	temp, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	r.env = append(os.Environ(), "TMPDIR="+temp)
	r.drivers, r.began = make(map[string]*driver), time.Now()
	for _, s := range sections {
		if ctx.Err() != nil {
			r.note(context.Cause(ctx))
			break
		}
		fmt.Fprintf(r.Log, "[%3.0fs] %s: %d rounds of %d subjects\n", time.Since(r.began).Seconds(), s.Name, s.Rounds, len(s.Subjects))
		r.section(ctx, s)
	}
	for _, d := range r.drivers {
		r.note(d.close())
	}
	fmt.Fprintf(r.Log, "[%3.0fs] done\n", time.Since(r.began).Seconds())
	return &r.data, errors.Join(r.errs...)
}

func (r *Run) note(err error) {
	if err != nil {
		fmt.Fprintf(r.Log, "FAILED %v\n", err)
		r.errs = append(r.errs, err)
	}
}

// section measures one, with its subjects open and no others.
func (r *Run) section(ctx context.Context, s plan.Section) {
	if !s.Alone {
		s.Subjects = slices.DeleteFunc(slices.Clone(s.Subjects), func(one plan.Subject) bool {
			_, err := r.ask(one, wire.Request{Op: wire.Open})
			return err != nil
		})
	}
	order := rand.New(rand.NewPCG(0, 0)) // the same in every run
	for round := range s.Rounds {
		for _, one := range s.Turns(order) {
			if ctx.Err() != nil {
				break
			}
			request := s.Request
			request.Trips = one.Trips
			if reply, err := r.ask(one, request); err == nil {
				r.keep(s, one, round, reply)
			}
		}
	}
	if !s.Alone {
		for _, one := range s.Subjects {
			_, _ = r.ask(one, wire.Request{Op: wire.Close})
		}
	}
}

// ask has a subject's program do something. Errors are noted. Each subject has a process
// of its own: what the garbage collector does there depends on all that the process holds.
func (r *Run) ask(s plan.Subject, request wire.Request) (wire.Reply, error) {
	request.Subject = s.Name
	d := r.drivers[s.Name]
	if d == nil {
		var err error
		if d, err = startDriver(r.Dir, s.Program, r.env); err != nil {
			r.note(err)
			return wire.Reply{}, err
		}
		r.drivers[s.Name] = d
	}
	reply, err := d.do(request)
	r.note(err)
	if errors.Is(err, errBroken) {
		// What it had open is lost; the next section begins anew.
		delete(r.drivers, s.Name)
		r.note(d.close())
	}
	return reply, err
}
