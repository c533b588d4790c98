// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/rpc"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/stub"
)

type point struct {
	X, Y int
	At   time.Time `json:"at,omitzero"`
}

// every has methods of every shape.
type every interface {
	None()
	Both(ctx context.Context, name string, n uint8) (string, int, error)
	Move(p point, by ...int) (point, error)
	Fails() error
	Watch(ch chan int) error
}

type everything struct{}

func (everything) None() {}
func (everything) Both(ctx context.Context, name string, n uint8) (string, int, error) {
	return name, int(n) + ctx.Value(key{}).(int), nil
}
func (everything) Move(p point, by ...int) (point, error) {
	for _, n := range by {
		p.X += n
	}
	return p, nil
}
func (everything) Fails() error         { return errors.New("boom") }
func (everything) Watch(chan int) error { return nil }

type key struct{}

type nothing struct{}

func (nothing) Server(*plugin.MuxBroker) (any, error)              { return nil, errors.New("no implementation") }
func (nothing) Client(*plugin.MuxBroker, *rpc.Client) (any, error) { return everything{}, nil }

func TestSignatures(t *testing.T) {
	k := NewKind[every]("every", nothing{}, WithParams("Both", "name", "n"),
		WithMethod("None", stub.CallOptions{Idempotent: true}), WithTimeout(time.Second))
	if k.err != nil {
		t.Fatal(k.err)
	}
	got := map[string]string{}
	for _, m := range k.list() {
		got[m.Signature] = m.NotCallable
	}
	want := map[string]string{
		"None()": "",
		"Both(context.Context, name string, n uint8) (string, int, error)": "",
		"Move(daemon.point, ...int) (daemon.point, error)":                 "",
		"Fails() error":         "",
		"Watch(chan int) error": "JSON cannot carry a chan int",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	options := []stub.CallOptions{k.Options("None"), k.Options("Both")}
	if diff := cmp.Diff([]stub.CallOptions{{Timeout: time.Second, Idempotent: true}, {Timeout: time.Second}}, options); diff != "" {
		t.Errorf("options: (-want +got)\n%s", diff)
	}
}

func TestInvoke(t *testing.T) {
	k := NewKind[every]("every", nothing{}, WithParams("Both", "name", "n"))
	cases := map[string]struct {
		reason, method, args string
		want, err            string
	}{
		"nothing in or out":  {"a method may have neither", "None", ``, `null`, ""},
		"null is nothing":    {"clients write null for none", "None", ` null `, `null`, ""},
		"an empty array":     {"clients write an empty list for none", "None", `[]`, `null`, ""},
		"several results":    {"they become an array; the context is the caller's", "Both", `["Ada",2]`, `["Ada",42]`, ""},
		"by name":            {"an object will do where names are known", "Both", `{"n":2,"name":"Ada"}`, `["Ada",42]`, ""},
		"a struct, variadic": {"the last parameter is a slice", "Move", `[{"X":1,"Y":2},[3,4]]`, `{"X":8,"Y":2}`, ""},
		"nil for a slice":    {"Go has nil for it", "Move", `[{"X":1,"Y":2},null]`, `{"X":1,"Y":2}`, ""},
		"only blanks":        {"they are nothing, as an empty text is", "Fails", " \n", ``, "boom"},
		"its own error":      {"it arrives unchanged", "Fails", ``, ``, "boom"},
		"too few":            {"a missing argument is no zero value", "Both", `["Ada"]`, "", "argument \"n\" is missing: it takes 2 arguments, got 1"},
		"too many":           {"an argument that nobody takes is a mistake", "None", `[1]`, "", "it takes no arguments, got 1 or more"},
		"none for two":       {"nothing is no arguments", "Both", ``, "", "argument \"name\" is missing: it takes 2 arguments, got 0"},
		"wrong type":         {"the error names argument and type", "Both", `[7,2]`, "", `argument "name": number is not a string`},
		"overflow":           {"a number must fit", "Both", `["Ada",256]`, "", `argument "n": number 256 is not a uint8`},
		"null for a value":   {"null is no string", "Both", `[null,2]`, "", `argument "name": null is not a string`},
		"unknown field":      {"a typing mistake is told", "Move", `[{"Z":1},[]]`, "", `argument 1: there is no field "Z"`},
		"within a struct":    {"the error says where", "Move", `[{"X":"a"},[]]`, "", "string is not an int at X"},
		"missing name":       {"a missing argument is no zero value", "Both", `{"name":"Ada"}`, "", `argument "n" is missing`},
		"unknown name":       {"an argument that nobody takes is a mistake", "Both", `{"name":"Ada","n":1,"z":1}`, "", `there is no argument "z"`},
		"names not known":    {"an object cannot be put in order", "Move", `{"p":{}}`, "", "want a JSON array"},
		"no JSON":            {"the error is about the text", "Both", `[`, "", "the JSON ends early"},
		"two values":         {"what follows is not ignored", "Both", `["Ada",1] 3`, "", "more follows"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := k.methods[tc.method]
			var got json.RawMessage
			args, err := m.arguments(json.RawMessage(tc.args))
			if err == nil {
				got, err = m.invoke(context.WithValue(t.Context(), key{}, 40), everything{}, args)
			}
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Fatalf("%s: got error %v, want %q", tc.reason, err, tc.err)
			}
			if own := tc.err == "boom"; err != nil && errors.Is(err, ErrArguments) == own {
				t.Errorf("%s: %v matches ErrArguments: %v", tc.reason, err, !own)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}

func TestKindMistakes(t *testing.T) {
	cases := map[string]struct {
		reason string
		kind   Kind
		want   string
	}{
		"no name":        {"nobody could dispense it", NewKind[every]("", nothing{}), "name is empty"},
		"no glue":        {"nothing could carry it", NewKind[every]("every", nil), "plugin.Plugin is nil"},
		"no interface":   {"a stub implements an interface", NewKind[point]("p", nothing{}), "daemon.point is not an interface"},
		"anything":       {"an interface without methods says nothing", NewKind[any]("p", nothing{}), "not an interface with methods"},
		"unknown option": {"a typing mistake would never take effect", NewKind[every]("every", nothing{}, WithMethod("Nine", stub.CallOptions{})), "option for method Nine"},
		"unknown names":  {"likewise", NewKind[every]("every", nothing{}, WithParams("Nine")), "parameters of Nine"},
		"too few names":  {"every parameter has one", NewKind[every]("every", nothing{}, WithParams("Both", "name")), "1 names for the 2 parameters of Both"},
		"timeout":        {"no time is below zero", NewKind[every]("every", nothing{}, WithTimeout(-1)), "below zero"},
		"other switch":   {"a switch must give the interface", NewKind[every]("every", nothing{}, WithSwitch(func(pick func() fmt.Stringer) fmt.Stringer { return pick() })), "not its interface"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.kind.err == nil || !strings.Contains(tc.kind.err.Error(), tc.want) {
				t.Errorf("%s: got %v, want %q", tc.reason, tc.kind.err, tc.want)
			}
		})
	}
}

func TestCheckContract(t *testing.T) {
	k := NewKind[every]("every", nothing{})
	methods := func(names ...string) []conn.Method {
		list := []conn.Method{}
		for _, n := range names {
			list = append(list, conn.Method{Name: n})
		}
		return list
	}
	cases := map[string]struct {
		reason string
		serves []conn.Kind
		want   string
	}{
		"says nothing":     {"an old plugin does not list anything", nil, ""},
		"another kind":     {"a plugin need not serve all kinds", []conn.Kind{{Name: "other", Methods: methods()}}, ""},
		"no methods":       {"what is not said is not compared", []conn.Kind{{Name: "every"}}, ""},
		"all and more":     {"newer plugins are welcome", []conn.Kind{{Name: "every", Methods: methods("None", "Both", "Move", "Fails", "Watch", "New")}}, ""},
		"some are missing": {"those are named as Go writes them", []conn.Kind{{Name: "every", Methods: methods("None", "Both", "Watch")}}, "kind every differs from this host's interface: it lacks Fails() error, Move(daemon.point, ...int) (daemon.point, error)"},
		"all but listed":   {"an empty list is a list", []conn.Kind{{Name: "every", Methods: methods()}}, "it lacks Both("},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := CheckContract([]Kind{k}, conn.Info{Kinds: tc.serves})
			if (err == nil) != (tc.want == "") || err != nil && (!errors.Is(err, ErrContract) || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}

// rude answers as a glue does that has no error to return.
type rude struct{ everything }

func (rude) None() { panic(rpc.ErrShutdown) }

func TestPanicOfTheGlueIsAnError(t *testing.T) {
	m := NewKind[every]("every", nothing{}).methods["None"]
	_, err := m.callWithin(t.Context(), rude{}, nil, false, func() {})
	if !errors.Is(err, rpc.ErrShutdown) || !strings.Contains(err.Error(), "None panicked") {
		t.Errorf("got %v, want an error that says what happened", err)
	}
}

func TestMapsThatJSONCannotCarry(t *testing.T) {
	cases := map[string]struct {
		reason string
		value  any
		want   string
	}{
		"strings":  {"members have names", map[string]int{}, ""},
		"numbers":  {"they are written in quotes", map[uint16][]string{}, ""},
		"text":     {"a key may say itself how it is written", map[netip.Addr]string{}, ""},
		"pairs":    {"the call would run, and its result be lost", map[[2]int]string{}, "JSON cannot carry a map[[2]int]string, as its keys are no strings"},
		"anything": {"nobody knows what it would be", []map[any]string{}, "JSON cannot carry a map[interface {}]string, as its keys are no strings"},
		"values":   {"they count as ever", map[string]chan int{}, "JSON cannot carry a chan int"},
	}
	for name, tc := range cases {
		if got := whyNotJSON(reflect.TypeOf(tc.value), map[reflect.Type]bool{}); got != tc.want {
			t.Errorf("%s: %s: got %q, want %q", name, tc.reason, got, tc.want)
		}
	}
}
