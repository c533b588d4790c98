// SPDX-License-Identifier: MPL-2.0

package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reattach/reattach/test/bench/internal/bounds"
	"github.com/reattach/reattach/test/bench/internal/series"
	"github.com/reattach/reattach/test/bench/internal/wire"
)

// Section is one measurement of several subjects, in rounds: each round has one turn of
// every subject.
type Section struct {
	Name     string
	Rounds   int
	Subjects []Subject
	// Request is what each subject is asked, apart from its name.
	Request wire.Request
	// Calls is set where the request is for calls, Beside where it is for small ones.
	Calls  series.Calls
	Beside series.Beside
	// Alone sections are done without opening the subjects first.
	Alone bool
}

// Options say how much to measure.
type Options struct {
	// Quick measures what bounds speak of, and that seldom.
	Quick bool
	// Only, if not empty, are parts of the names of subjects, one of which a
	// subject must have.
	Only []string
	// Parts, if not empty, are the kinds of sections.
	Parts []string
	// For is how long all calls may take together.
	For time.Duration
}

// Kinds of sections.
const (
	PartCalls  = "calls"
	PartAttach = "attach"
	PartMemory = "memory"
	PartFleet  = "fleet"
	PartKill   = "kill"
	PartBeside = "beside"
	PartStream = "stream"
	PartIdle   = "idle"
	PartCancel = "cancel"
)

// parts makes the sections of each kind.
func parts() []part {
	return []part{
		{PartCalls, calls}, {PartAttach, attach}, {PartMemory, memory}, {PartFleet, fleet}, {PartKill, kill},
		{PartStream, stream}, {PartCancel, cancel}, {PartBeside, beside}, {PartIdle, idle},
	}
}

type part struct {
	name string
	make func(Options, []Subject) []Section
}

// PartNames are the kinds of sections, for people.
func PartNames() string {
	var names []string
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}

// Make gives the sections in order.
func Make(o Options) ([]Section, error) {
	subjects := choose(o)
	if len(subjects) == 0 {
		return nil, fmt.Errorf("no subject has one of %s in its name", strings.Join(o.Only, ", "))
	}
	var all []Section
	for _, part := range parts() {
		if len(o.Parts) == 0 || slices.Contains(o.Parts, part.name) {
			all = append(all, part.make(o, subjects)...)
		}
	}
	all = slices.DeleteFunc(all, func(s Section) bool { return len(s.Subjects) == 0 })
	if len(all) == 0 {
		return nil, fmt.Errorf("nothing is left to measure: the parts are %s", PartNames())
	}
	return all, nil
}

func choose(o Options) []Subject {
	needed := make(map[string]bool)
	for _, b := range bounds.Table() {
		needed[b.Of.Subject], needed[b.Per.Subject] = true, true
	}
	return filter(Subjects(), func(s Subject) bool {
		named := len(o.Only) == 0 || slices.ContainsFunc(o.Only, func(part string) bool { return strings.Contains(s.Name, part) })
		return named && (needed[s.Name] || !o.Quick)
	})
}

func filter(all []Subject, keep func(Subject) bool) []Subject {
	var some []Subject
	for _, s := range all {
		if keep(s) {
			some = append(some, s)
		}
	}
	return some
}

func fewer(o Options, full, quick int) int {
	if o.Quick {
		return quick
	}
	return full
}

// attach has each subject attach some times a round.
func attach(o Options, subjects []Subject) []Section {
	return []Section{{
		Name: "attach", Rounds: fewer(o, 15, 5),
		Subjects: filter(subjects, func(s Subject) bool { return s.Trips > 0 }),
		Request:  wire.Request{Op: wire.Attach, Count: fewer(o, 10, 5)},
	}}
}

// sessions is how many share what is measured of one's memory.
const sessions = 100

func memory(o Options, subjects []Subject) []Section {
	of := func(aside bool) []Subject {
		return filter(subjects, func(s Subject) bool {
			return s.Sessions && !aside || strings.HasPrefix(s.Name, "fleet-") && aside
		})
	}
	request := wire.Request{Op: wire.Memory, Count: sessions}
	return []Section{
		{Name: "memory of sessions", Rounds: fewer(o, 7, 5), Subjects: of(false), Request: request},
		{Name: "memory of endpoints", Rounds: fewer(o, 7, 5), Subjects: of(true), Request: request, Alone: true},
	}
}

func fleet(o Options, subjects []Subject) []Section {
	some := filter(subjects, func(s Subject) bool { return strings.HasPrefix(s.Name, "fleet-") })
	var all []Section
	for _, n := range []int{1, 100, int(bounds.Many)} {
		rounds := fewer(o, 5, 1)
		if n < 100 && o.Quick {
			continue
		}
		all = append(all, Section{
			Name: fmt.Sprintf("%d endpoints at once", n), Rounds: rounds, Subjects: some,
			Request: wire.Request{Op: wire.Fleet, Count: n}, Alone: true,
		})
	}
	return all
}

func kill(o Options, subjects []Subject) []Section {
	return []Section{{
		Name: "SIGKILL of the endpoint in use", Rounds: 1,
		Subjects: filter(subjects, func(s Subject) bool {
			return s.Name == "fleet-netrpc" || s.Name == "fleet-grpc" && !o.Quick
		}),
		Request: wire.Request{Op: wire.Kill, Count: fewer(o, 100, 10)}, Alone: true,
	}}
}

// Programs are those that sections need, each once.
func Programs(sections []Section) []string {
	var names []string
	for _, s := range sections {
		for _, one := range s.Subjects {
			for _, program := range append([]string{one.Program}, one.Beside...) {
				if !slices.Contains(names, program) {
					names = append(names, program)
				}
			}
		}
	}
	return names
}
