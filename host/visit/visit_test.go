// SPDX-License-Identifier: MPL-2.0

package visit

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// told is how a kind report reads, without its types.
type told struct {
	Kind    string
	Served  bool
	Answers []string
	Err     string
}

func tell(reports []KindReport) []told {
	var all []told
	for _, r := range reports {
		t := told{Kind: r.Name, Served: r.Served, Err: errorText(r.Err)}
		for _, a := range r.Answers {
			t.Answers = append(t.Answers, a.Method+": "+a.Text+errorText(a.Err))
		}
		all = append(all, t)
	}
	return all
}

// speaker is a kind whose stub answers its own name.
func speaker(name string, calls ...Call) Kind {
	return NewKind(name, nil, func(stub string) []Call {
		own := Call{Method: "name", Do: func() (string, error) { return stub, nil }}
		return append([]Call{own}, calls...)
	})
}

func TestAskAll(t *testing.T) {
	boom := errors.New("boom")
	left := make(chan struct{})
	answer := func(method, text string, err error) Call {
		return Call{Method: method, Do: func() (string, error) { return text, err }}
	}
	hang := Call{Method: "hang", Do: func() (string, error) { <-left; return "", boom }}
	cases := map[string]struct {
		reason   string
		kinds    []Kind
		dispense func(string) (any, error)
		want     []told
		takes    time.Duration
	}{
		"all is served": {
			reason: "every question of every kind is asked, in order",
			kinds:  []Kind{speaker("a", answer("x", "1", nil)), speaker("b")},
			want: []told{
				{Kind: "a", Served: true, Answers: []string{"name: a", "x: 1"}},
				{Kind: "b", Served: true, Answers: []string{"name: b"}},
			},
		},
		"a kind is missing": {
			reason: "net/rpc says so when it is dispensed",
			kinds:  []Kind{speaker("a"), speaker("b")},
			dispense: func(kind string) (any, error) {
				if kind == "a" {
					return nil, errors.New("unknown plugin type: a")
				}
				return kind, nil
			},
			want: []told{{Kind: "a"}, {Kind: "b", Served: true, Answers: []string{"name: b"}}},
		},
		"a service is missing": {
			reason: "gRPC says so when it is called",
			kinds:  []Kind{speaker("a", answer("x", "", status.Error(codes.Unimplemented, "unknown service a")))},
			want:   []told{{Kind: "a"}},
		},
		"an error": {
			reason: "the questions after it may be answered all the same",
			kinds:  []Kind{speaker("a", answer("x", "", boom), answer("y", "2", nil))},
			want:   []told{{Kind: "a", Served: true, Answers: []string{"name: a", "x: boom", "y: 2"}}},
		},
		"a kind that cannot be dispensed": {
			reason:   "other trouble than its absence is an error of the kind",
			kinds:    []Kind{speaker("a")},
			dispense: func(string) (any, error) { return nil, boom },
			want:     []told{{Kind: "a", Served: true, Err: "boom"}},
		},
		"a stub of another type": {
			reason:   "the contract and its glue do not fit",
			kinds:    []Kind{speaker("a")},
			dispense: func(string) (any, error) { return 7, nil },
			want:     []told{{Kind: "a", Served: true, Err: "kind a dispensed a int, which is not its interface"}},
		},
		"silence": {
			reason: "who does not answer is not asked again",
			kinds:  []Kind{speaker("a", hang, answer("y", "2", nil)), speaker("b")},
			want:   []told{{Kind: "a", Served: true, Answers: []string{"name: a", "hang: no answer within 10s"}}},
			takes:  10 * time.Second,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				left = make(chan struct{})
				defer close(left)
				if tc.dispense == nil {
					tc.dispense = func(kind string) (any, error) { return kind, nil }
				}
				start := time.Now()
				got := askAll(t.Context(), Options{Kinds: tc.kinds, CallTimeout: 10 * time.Second}, &session{dispense: tc.dispense})
				if diff := cmp.Diff(tc.want, tell(got)); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
				}
				if took := time.Since(start); took != tc.takes {
					t.Errorf("%s: took %v, want %v", tc.reason, took, tc.takes)
				}
			})
		})
	}
}
