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

// beside has small calls made beside large ones, on a slow link and on none.
func beside(o Options, subjects []Subject) []Section {
	var all []Section
	for _, b := range []series.Beside{bounds.LinkRequest, bounds.LinkReply, bounds.LoopbackRequest, bounds.LoopbackReply} {
		request := wire.Beside{Bytes: b.Bytes, Reply: b.Reply, Rate: b.Rate, Every: 10 * time.Millisecond}
		if b.Rate == 0 {
			request.Every, request.For = time.Millisecond, 500*time.Millisecond
		}
		rounds := fewer(o, 5, 3)
		if b.Rate > 0 {
			rounds = fewer(o, 5, 1) // of which one is long
		}
		all = append(all, Section{
			Name: b.String(), Rounds: rounds, Beside: b,
			Subjects: filter(subjects, func(s Subject) bool { return s.Remote && (!o.Quick || bounded(s.Name, b.P99())) }),
			Request:  wire.Request{Op: wire.Small, Beside: request}, Alone: true,
		})
	}
	return all
}

// bounded reports whether a bound speaks of a measure of a subject.
func bounded(subject, measure string) bool {
	return slices.ContainsFunc(bounds.Table(), func(b bounds.Bound) bool {
		k := series.Key{Subject: subject, Measure: measure}
		return b.Of == k || b.Per == k
	})
}

// message is how long a message of a stream is.
const message = 1 << 10

func stream(o Options, subjects []Subject) []Section {
	return []Section{{
		Name: "streams of " + series.Size(message), Rounds: fewer(o, 9, 5),
		Subjects: filter(subjects, func(s Subject) bool { return s.Streams }),
		Request:  wire.Request{Op: wire.Stream, Load: wire.Load{Payload: message, For: 100 * time.Millisecond}},
	}}
}

func idle(o Options, subjects []Subject) []Section {
	n := int(bounds.AtRest)
	return []Section{{
		Name: fmt.Sprintf("%d endpoints at rest", n), Rounds: fewer(o, 5, 1),
		Subjects: filter(subjects, func(s Subject) bool {
			return strings.HasPrefix(s.Name, "fleet-") && (!o.Quick || bounded(s.Name, bounds.AtRest.HostCPU()))
		}),
		Request: wire.Request{Op: wire.Idle, Count: n, For: 10 * time.Second}, Alone: true,
	}}
}

func cancel(o Options, subjects []Subject) []Section {
	return []Section{{
		Name: "calls that are given up", Rounds: fewer(o, 5, 3),
		Subjects: filter(subjects, func(s Subject) bool { return s.Cancels }),
		Request:  wire.Request{Op: wire.Cancel, Count: 10_000, For: time.Second},
	}}
}
