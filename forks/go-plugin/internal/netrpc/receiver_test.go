// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"bytes"
	"context"
	"errors"
	"log"
	"net"
	"net/rpc"
	"os"
	"slices"
	"testing"

	"github.com/hashicorp/go-plugin/internal/peererr"
)

type private struct{}

// receiver has methods of all forms.
type receiver struct {
	running chan context.Context
	ended   chan error
}

// Textless fails without a word, which net/rpc takes for success.
func (*receiver) Textless(n int, reply *int) error {
	*reply = n
	return errors.New("")
}

func (*receiver) Plain(a int, r *int) error                      { *r = 2 * a; return nil }
func (*receiver) Context(_ context.Context, a int, r *int) error { *r = 3 * a; return nil }
func (*receiver) Pointers(_ context.Context, a *[]int, r *map[int]int) error {
	(*r)[(*a)[0]] = 1
	return nil
}
func (*receiver) Fails(context.Context, int, *int) error      { return errors.New("no") }
func (*receiver) Panics(context.Context, int, *int) error     { panic("oh") }
func (*receiver) Hidden(context.Context, private, *int) error { return nil }
func (*receiver) NoReply(context.Context, int) error          { return nil }
func (*receiver) NoPointer(context.Context, int, int) error   { return nil }
func (*receiver) NoError(context.Context, int, *int)          {}
func (*receiver) Late(int, context.Context, *int) error       { return nil }

// Waits returns when its context ends.
func (r *receiver) Waits(ctx context.Context, _ int, _ *int) error {
	r.running <- ctx
	<-ctx.Done()
	r.ended <- context.Cause(ctx)
	return ctx.Err()
}

// Seen hands its context out.
func (r *receiver) Seen(ctx context.Context, _ int, _ *int) error {
	r.running <- ctx
	return nil
}

type contextsOnly struct{}

func (contextsOnly) Only(context.Context, int, *int) error { return nil }

func newReceiver() *receiver {
	return &receiver{running: make(chan context.Context, 1), ended: make(chan error, 1)}
}

func names(methods []Method) (names []string) {
	for _, m := range methods {
		names = append(names, m.Name)
	}
	return names
}

func TestMethods(t *testing.T) {
	for name, test := range map[string]struct {
		receiver any
		want     []string
	}{
		"net/rpc's own": {newReceiver(), []string{"Plain", "Textless"}},
		"with contexts": {&ContextReceiver{newReceiver()}, []string{"Context", "Fails", "Panics", "Plain", "Pointers", "Seen", "Textless", "Waits"}},
		"nothing":       {&ContextReceiver{}, nil},
	} {
		if got := names(Methods(test.receiver)); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// served gives a client of a receiver, and ends with the test.
func served(t *testing.T, receiver any) *rpc.Client {
	t.Helper()
	here, there := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		Serving{Panicked: func(_ string, v any) string { return "recovered" }}.serve(there, receiver)
	}()
	client := rpc.NewClient(here)
	t.Cleanup(func() {
		_ = client.Close()
		<-done
	})
	return client
}

// TestKnownTypes serves values of one type again, with contexts and without: what is known of
// the type is not what another value answers. Nothing at all serves no method.
func TestKnownTypes(t *testing.T) {
	for range 2 {
		for name, test := range map[string]struct {
			receiver any
			methods  map[string]bool
		}{
			"plain":         {newReceiver(), map[string]bool{"Plain": true, "Context": false}},
			"with contexts": {&ContextReceiver{newReceiver()}, map[string]bool{"Plain": true, "Context": true}},
			"contexts only": {&ContextReceiver{contextsOnly{}}, map[string]bool{"Only": true, "Plain": false}},
			"nothing":       {nil, map[string]bool{"Plain": false}},
			"no receiver":   {&ContextReceiver{}, map[string]bool{"Context": false}},
		} {
			client := served(t, test.receiver)
			for method, want := range test.methods {
				if err := client.Call("Plugin."+method, 7, new(int)); (err == nil) != want {
					t.Errorf("%s: %s: %v, want it served: %v", name, method, err, want)
				}
			}
		}
	}
	one, other := counting(0), counting(0)
	for range 3 {
		if err := served(t, &one).Call("Plugin.Count", 1, new(int)); err != nil {
			t.Fatal(err)
		}
	}
	if err := served(t, &other).Call("Plugin.Count", 1, new(int)); err != nil || one != 3 || other != 1 {
		t.Errorf("%v: one was called %d times, the other %d times", err, one, other)
	}
}

type counting int

func (c *counting) Count(int, *int) error { *c++; return nil }

func TestContextReceiver(t *testing.T) {
	client := served(t, &ContextReceiver{newReceiver()})
	for name, test := range map[string]struct {
		args, reply any
		want        any
		err         string
	}{
		"Plain":    {7, new(int), 14, ""},
		"Context":  {7, new(int), 21, ""},
		"Pointers": {[]int{5}, new(map[int]int), map[int]int{5: 1}, ""},
		"Textless": {7, new(int), 7, ""},
		"Fails":    {7, new(int), nil, "no"},
		"Panics":   {7, new(int), nil, "recovered"},
		"Hidden":   {7, new(int), nil, "rpc: can't find method Plugin.Hidden"},
		"NoError":  {7, new(int), nil, "rpc: can't find method Plugin.NoError"},
	} {
		err := client.Call("Plugin."+name, test.args, test.reply)
		switch {
		case test.err != "":
			if err == nil || err.Error() != test.err {
				t.Errorf("%s: error %v, want %s", name, err, test.err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		default:
			if got := dereferenced(test.reply); !equal(got, test.want) {
				t.Errorf("%s: %v, want %v", name, got, test.want)
			}
		}
	}
	// Arguments of another type are the same error with a context as without.
	plain, with := client.Call("Plugin.Plain", "text", new(int)), client.Call("Plugin.Context", "text", new(int))
	if plain == nil || with == nil || plain.Error() != with.Error() {
		t.Errorf("arguments of another type: %v with a context, %v without", with, plain)
	}
}

func dereferenced(v any) any {
	switch v := v.(type) {
	case *int:
		return *v
	case *map[int]int:
		return *v
	}
	return v
}

func equal(a, b any) bool {
	m, ok := a.(map[int]int)
	if !ok {
		return a == b
	}
	n, ok := b.(map[int]int)
	return ok && len(m) == len(n) && m[5] == n[5]
}

// Without the wrapper a method with a context is none that can be called, as ever.
func TestContextNeedsWrapper(t *testing.T) {
	client := served(t, newReceiver())
	err := client.Call("Plugin.Context", 7, new(int))
	if err == nil || err.Error() != "rpc: can't find method Plugin.Context" {
		t.Errorf("the error is %v", err)
	}
}

// A receiver with nothing for net/rpc is no reason for it to complain.
func TestContextsOnly(t *testing.T) {
	var logged bytes.Buffer
	log.SetOutput(&logged)
	defer log.SetOutput(os.Stderr)
	client := served(t, &ContextReceiver{contextsOnly{}})
	if err := client.Call("Plugin.Only", 1, new(int)); err != nil {
		t.Error(err)
	}
	if logged.Len() > 0 {
		t.Errorf("it was logged: %s", &logged)
	}
}

func TestContextEndsWithConnection(t *testing.T) {
	r := newReceiver()
	client := served(t, &ContextReceiver{r})
	client.Go("Plugin.Waits", 1, new(int), nil)
	<-r.running
	_ = client.Close()
	if err := <-r.ended; !errors.Is(err, peererr.ErrConnectionLost) {
		t.Errorf("the context's cause is %v", err)
	}
}

func TestContextEndsWithMethod(t *testing.T) {
	r := newReceiver()
	client := served(t, &ContextReceiver{r})
	if err := client.Call("Plugin.Seen", 1, new(int)); err != nil {
		t.Fatal(err)
	}
	<-(<-r.running).Done()
}
