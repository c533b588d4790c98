// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"encoding/gob"
	"errors"
	"net"
	"net/rpc"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRPCEndings plays each way in which a call can end.
func TestRPCEndings(t *testing.T) {
	type want struct {
		result   string
		outcomes []string
		took     time.Duration
	}
	cases := map[string]struct {
		reason string
		method string
		play   func(t *testing.T, router *handRouter)
		want   want
	}{
		"answered": {
			reason: "an answer goes to its caller",
			method: "Add",
			play:   func(_ *testing.T, r *handRouter) { r.set(echoing("a")) },
			want:   want{result: `"x"`, outcomes: []string{"a: answered"}},
		},
		"none ready": {
			reason: "the deadline also holds for waiting, and the cause is told",
			method: "Quick",
			play:   func(*testing.T, *handRouter) {},
			want: want{result: `error "reattach: no endpoint took Quick; it was not sent: nobody is ready: a test"`,
				took: 2 * time.Second},
		},
		"ready later": {
			reason: "a call waits for an endpoint",
			method: "Add",
			play: func(_ *testing.T, r *handRouter) {
				time.AfterFunc(20*time.Second, func() { r.set(echoing("a")) })
			},
			want: want{result: `"x"`, outcomes: []string{"a: answered"}, took: 20 * time.Second},
		},
		"default timeout": {
			reason: "a method without a timeout has 30 s",
			method: "Add",
			play: func(t *testing.T, r *handRouter) {
				s, peers := newHandSession("a")
				r.set(s)
				go func() { (<-peers).request(t) }()
			},
			want: want{result: `error "reattach: no answer in time from a to Add; it may have run"`,
				outcomes: []string{"a: timed-out"}, took: DefaultTimeout},
		},
		"lost after it was sent": {
			reason: "it may have run, so it is not repeated",
			method: "Add",
			play: func(t *testing.T, r *handRouter) {
				s, peers := newHandSession("a")
				r.set(s, echoing("b"))
				go func() {
					p := <-peers
					p.request(t)
					_ = p.Close()
				}()
			},
			want: want{result: `error "reattach: connection to a lost during Add; it may have run: the plugin hung up"`,
				outcomes: []string{"a: lost"}},
		},
		"idempotent, lost": {
			reason: "an idempotent call is repeated elsewhere",
			method: "Get",
			play: func(t *testing.T, r *handRouter) {
				s, peers := newHandSession("a")
				r.set(s, echoing("b"))
				go func() {
					p := <-peers
					p.request(t)
					_ = p.Close()
				}()
			},
			want: want{result: `"x"`, outcomes: []string{"a: lost", "b: answered"}},
		},
		"session cannot be used": {
			reason: "a stream that cannot be opened is no harm: nothing was sent",
			method: "Add",
			play: func(_ *testing.T, r *handRouter) {
				s, _ := newHandSession("a")
				s.open = func() (net.Conn, error) { return nil, errors.New("connection reset") }
				r.set(s, echoing("b"))
			},
			want: want{result: `"x"`, outcomes: []string{"a: not-sent", "b: answered"}},
		},
		"session ended": {
			reason: "a session that has ended is passed over before the router knows",
			method: "Add",
			play: func(_ *testing.T, r *handRouter) {
				a := echoing("a")
				close(a.ended)
				a.open = func() (net.Conn, error) { return nil, errors.New("session has ended") }
				r.set(a, echoing("b"))
			},
			want: want{result: `"x"`, outcomes: []string{"a: not-sent", "b: answered"}},
		},
		"stream opens slowly": {
			reason: "an endpoint that does not answer the dispense is left after a second",
			method: "Add",
			play: func(_ *testing.T, r *handRouter) {
				s, _ := newHandSession("a")
				s.open = func() (net.Conn, error) {
					time.Sleep(10 * time.Second)
					return nil, errors.New("too late")
				}
				r.set(s, echoing("b"))
			},
			want: want{result: `"x"`, outcomes: []string{"a: timed-out", "b: answered"}, took: channelWait},
		},
		"no endpoint serves the kind": {
			reason: "the plugin's own refusal comes unchanged, once all have been asked",
			method: "Add",
			play: func(_ *testing.T, r *handRouter) {
				refuse := func() (net.Conn, error) { return nil, rpc.ServerError("unknown plugin type: kind") }
				a, _ := newHandSession("a")
				b, _ := newHandSession("b")
				a.open, b.open = refuse, refuse
				r.set(a, b)
			},
			want: want{result: `error "unknown plugin type: kind"`,
				outcomes: []string{"a: not-sent", "b: not-sent", "a: not-sent"}},
		},
		"every plugin dies of it": {
			reason: "a request that kills its reader takes two of them by default",
			method: "Get",
			play: func(t *testing.T, r *handRouter) {
				r.set(dying(t, "a", nil), dying(t, "b", nil), dying(t, "c", nil))
			},
			want: want{result: `error "reattach: connection to b lost during Get; it may have run: the plugin hung up"`,
				outcomes: []string{"a: lost", "b: lost"}},
		},
		"dies of it, repeated thrice": {
			reason: "a method may say how often, and one endpoint is given a rest",
			method: "Thrice",
			play:   func(t *testing.T, r *handRouter) { r.set(dying(t, "a", nil)) },
			want: want{result: `error "reattach: connection to a lost during Thrice; it may have run: the plugin hung up"`,
				outcomes: []string{"a: lost", "a: lost", "a: lost", "a: lost"},
				took:     5*time.Millisecond + 10*time.Millisecond + 20*time.Millisecond},
		},
		"idempotent, not to be repeated": {
			reason: "NoRepeats is none",
			method: "Never",
			play:   func(t *testing.T, r *handRouter) { r.set(dying(t, "a", nil), echoing("b")) },
			want: want{result: `error "reattach: connection to a lost during Never; it may have run: the plugin hung up"`,
				outcomes: []string{"a: lost"}},
		},
		"lost, and no endpoint left": {
			reason: "that it may have run is not forgotten while a repetition waits",
			method: "Get",
			play:   func(t *testing.T, r *handRouter) { r.set(dying(t, "a", func() { r.set() })) },
			want: want{result: `error "reattach: connection to a lost during Get; it may have run: nobody is ready: a test (last attempt: the plugin hung up)"`,
				outcomes: []string{"a: lost"}, took: DefaultTimeout},
		},
		"lost, then not taken": {
			reason: "nor by an endpoint that surely does not get it",
			method: "Get",
			play: func(t *testing.T, r *handRouter) {
				broken, _ := newHandSession("b")
				broken.open = func() (net.Conn, error) {
					r.set()
					return nil, errors.New("connection reset")
				}
				r.set(dying(t, "a", nil), broken)
			},
			want: want{result: `error "reattach: connection to a lost during Get; it may have run: nobody is ready: a test (last attempt: connection reset)"`,
				outcomes: []string{"a: lost", "b: not-sent"}, took: DefaultTimeout},
		},
		"lost, then refused": {
			reason: "nor by one that does not serve the kind",
			method: "Get",
			play: func(t *testing.T, r *handRouter) {
				refusing, _ := newHandSession("b")
				refusing.open = func() (net.Conn, error) { return nil, rpc.ServerError("unknown plugin type: kind") }
				r.set(dying(t, "a", func() { r.set(refusing) }))
			},
			want: want{result: `error "reattach: connection to a lost during Get; it may have run: unknown plugin type: kind"`,
				outcomes: []string{"a: lost", "b: not-sent", "b: not-sent"}},
		},
		"lost, then too late": {
			reason: "nor by one that does not answer",
			method: "Get",
			play: func(t *testing.T, r *handRouter) {
				silent, peers := newHandSession("b")
				r.set(dying(t, "a", nil), silent)
				go func() { (<-peers).request(t) }()
			},
			want: want{result: `error "reattach: no answer in time from b to Get; it may have run"`,
				outcomes: []string{"a: lost", "b: timed-out"}, took: DefaultTimeout},
		},
		"answer of another type": {
			reason: "an answer that cannot be decoded is that call's error alone",
			method: "Get",
			play: func(t *testing.T, r *handRouter) {
				s, peers := newHandSession("a")
				r.set(s)
				go func() {
					p := <-peers
					seq, _, _ := p.request(t)
					p.answer(t, seq, 42)
				}()
			},
			want: want{result: `error "reattach: unreadable answer from a to Get; it may have run: ` +
				`gob: decoding into local type *string, received remote type int"`, outcomes: []string{"a: answered"}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				router := newHandRouter()
				client := handStub(t, router, nil)
				defer client.Close()
				tc.play(t, router)
				began := time.Now()
				got := want{result: (<-goCall(client, tc.method, "x")).String(), took: time.Since(began)}
				_, outcomes, open := router.seen()
				got.outcomes = outcomes
				if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(want{})); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
				}
				if open != 0 {
					t.Errorf("%d leases were not given back", open)
				}

				// Whatever happened, the stub lives.
				router.set(echoing("fresh"))
				if got := (<-goCall(client, "Add", "again")).String(); got != `"again"` {
					t.Errorf("call after it: %s", got)
				}
				time.Sleep(time.Minute) // of the bubble: what is slow comes to its end
			})
		})
	}
}

// dying returns a session whose plugin dies of every request, after what it then
// does.
func dying(t *testing.T, name string, then func()) *handSession {
	s, _ := newHandSession(name)
	s.open = func() (net.Conn, error) {
		host, plugin := net.Pipe()
		go func() {
			p := &handPeer{Conn: plugin, dec: gob.NewDecoder(plugin), enc: gob.NewEncoder(plugin)}
			p.request(t)
			if then != nil {
				then()
			}
			_ = p.Close()
		}()
		return host, nil
	}
	return s
}

func TestRPCLateAnswerIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peers := newHandSession("a")
		client := handStub(t, newHandRouter(s), nil)
		defer client.Close()

		first := goCall(client, "Quick", "late")
		p := <-peers
		seq, _, _ := p.request(t)
		if r := <-first; !strings.Contains(r.String(), "no answer in time") {
			t.Fatalf("first call: %v", r)
		}
		second := goCall(client, "Quick", "next")
		go func() {
			p.answer(t, seq, "late")
			seq, _, arg := p.request(t)
			p.answer(t, seq, arg)
		}()
		if r := <-second; r.String() != `"next"` {
			t.Errorf("a call on the same channel after a late answer: %v", r)
		}
	})
}

// TestRPCUnsentIsSentElsewhere holds that a request which the connection never
// took is not taken for one that may have run.
func TestRPCUnsentIsSentElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peers := newHandSession("a")
		router := newHandRouter(s)
		client := handStub(t, router, nil)
		defer client.Close()

		first := goCall(client, "Add", "stuck")
		p := <-peers
		synctest.Wait() // its bytes are being written
		second := goCall(client, "Add", "behind")
		synctest.Wait() // its bytes wait
		router.set(echoing("b"))
		_ = p.Close()
		if r := <-first; !strings.Contains(r.String(), "it may have run") {
			t.Errorf("the call that was being written: %v", r)
		}
		if r := <-second; r.String() != `"behind"` {
			t.Errorf("the call behind it: %v", r)
		}
	})
}

// TestRPCEndpointsDoNotHinderEachOther has one endpoint that takes no bytes
// and one that stops in the middle of an answer.
func TestRPCEndpointsDoNotHinderEachOther(t *testing.T) {
	cases := map[string]struct {
		reason string
		play   func(t *testing.T, s *handSession, peers <-chan *handPeer)
		arg    string
	}{
		"connection is stuffed": {
			reason: "net/rpc holds a lock while a request is written",
			play: func(_ *testing.T, s *handSession, _ <-chan *handPeer) {
				s.open = func() (net.Conn, error) { return deadEnd(), nil }
			},
			arg: strings.Repeat("x", 2*channelBuffer),
		},
		"answer stops half way": {
			reason: "net/rpc reads all answers in one goroutine",
			play: func(t *testing.T, _ *handSession, peers <-chan *handPeer) {
				go func() {
					p := <-peers
					seq, _, _ := p.request(t)
					_ = p.enc.Encode(&rpc.Response{Seq: seq})
					_, _ = p.Write([]byte{100, 12}) // "a message of 100 bytes follows"
				}()
			},
			arg: "x",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bad, peers := newHandSession("bad")
				router := newHandRouter(bad)
				client := handStub(t, router, nil)
				defer client.Close()
				tc.play(t, bad, peers)

				stuck := goCall(client, "Quick", tc.arg)
				synctest.Wait()
				router.set(echoing("good"))
				began := time.Now()
				for range 100 {
					if r := <-goCall(client, "Add", "y"); r.String() != `"y"` {
						t.Fatalf("%s: a call elsewhere: %v", tc.reason, r)
					}
				}
				if took := time.Since(began); took != 0 {
					t.Errorf("%s: calls elsewhere were held up for %v", tc.reason, took)
				}
				if r := <-stuck; !strings.Contains(r.String(), "no answer in time from bad") {
					t.Errorf("the call on the bad endpoint: %v", r)
				}
			})
		})
	}
}

func TestRPCFullChannelIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad, _ := newHandSession("bad")
		bad.open = func() (net.Conn, error) { return deadEnd(), nil }
		router := newHandRouter(bad)
		client := handStub(t, router, nil)
		defer client.Close()
		big := strings.Repeat("x", channelBuffer)
		writing := goCall(client, "Add", big)
		synctest.Wait()
		waiting := goCall(client, "Add", big)
		synctest.Wait()
		third := goCall(client, "Add", "small")
		synctest.Wait()
		router.set(bad, echoing("good"))
		if r := <-third; r.String() != `"small"` {
			t.Errorf("a call that found the channel full: %v", r)
		}
		for _, c := range []<-chan result{writing, waiting} {
			if r := <-c; !strings.Contains(r.String(), "no answer in time") {
				t.Errorf("a call on the full channel: %v", r)
			}
		}
	})
}

func TestRPCArguments(t *testing.T) {
	cases := map[string]struct {
		reason string
		args   any
		want   string
	}{
		"unregistered":  {"a type that gob does not know", map[string]any{"x": struct{ N int }{1}}, "type not registered for interface"},
		"channel":       {"a type that gob cannot send", make(chan int), "gob: type not registered"},
		"nil pointer":   {"gob panics at it", (*string)(nil), "nil pointer"},
		"panics itself": {"a type that encodes itself with a mistake", panicky{}, "index out of range"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, late := range []bool{false, true} {
					router := newHandRouter(echoing("a"))
					if late {
						router.set()
						time.AfterFunc(time.Second, func() { router.set(echoing("a")) })
					}
					seen := recorder{make(chan seenCall, 10)}
					client := handStub(t, router, func(c *Config) { c.Observer = seen })
					if !late { // so that the channel is open
						<-goCall(client, "Add", "x")
						<-seen.calls
					}
					err := client.Call("Plugin.Add", tc.args, new(string))
					fault, ok := Cause(err)
					if !ok || fault.Reason != ReasonArguments || fault.MayHaveRun || fault.Source() != SourceHost {
						t.Errorf("%s (late: %v): got %v", tc.reason, late, err)
					}
					if diff := cmp.Diff(seenCall{Method: "Add", Source: SourceHost}, <-seen.calls); diff != "" {
						t.Errorf("%s (late: %v): (-want +got)\n%s", tc.reason, late, diff)
					}
					if r := <-goCall(client, "Add", "y"); r.String() != `"y"` {
						t.Errorf("%s: next call: %v", tc.reason, r)
					}
					if _, _, open := router.seen(); open != 0 {
						t.Errorf("%d leases were not given back", open)
					}
					_ = client.Close()
				}
			})
		})
	}
}

type panicky struct{}

func (panicky) GobEncode() ([]byte, error) { return make([]byte, 0)[:1:1], nil }

func TestRPCClose(t *testing.T) {
	cases := map[string]struct {
		reason string
		end    func(*RPC) error
		fault  bool
	}{
		"stub":   {"all its calls end with a fault", (*RPC).Close, true},
		"client": {"net/rpc itself refuses later calls", func(r *RPC) error { return r.Client.Close() }, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) { testRPCClose(t, tc.end, tc.fault) })
	}
}

// testRPCClose ends a stub. Whether calls that begin afterwards end with a fault is
// laterFault.
func testRPCClose(t *testing.T, end func(*RPC) error, laterFault bool) {
	synctest.Test(t, func(t *testing.T) {
		s, peers := newHandSession("a")
		router := newHandRouter(s)
		stub := mustRPC(t, "kind", Config{Router: router, Methods: testMethods})
		client := stub.Client
		sent := goCall(client, "Add", "x")
		p := <-peers
		p.request(t)
		router.set()
		waiting := goCall(client, "Add", "y")
		synctest.Wait()
		if err := end(stub); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]<-chan result{"sent": sent, "waiting": waiting, "later": goCall(client, "Add", "z")} {
			r := <-c
			if !errors.Is(r.err, rpc.ErrShutdown) || SourceOf(r.err) != SourceCaller {
				t.Errorf("%s call: got %v, want ErrShutdown", name, r)
			}
			if f, ok := Cause(r.err); ok != (name != "later" || laterFault) || ok && f.MayHaveRun != (name == "sent") {
				t.Errorf("%s call: got fault %+v", name, f)
			}
		}
		if _, err := p.Read(make([]byte, 1)); err == nil {
			t.Error("the channel is still open")
		}
		synctest.Wait()
		if _, _, open := router.seen(); open != 0 {
			t.Errorf("%d leases were not given back", open)
		}
	})
}

type seenCall struct {
	Method, Endpoint string
	Attempts         int
	Repeats          int
	Source           Source
}

type recorder struct{ calls chan seenCall }

func (r recorder) Called(call Call) {
	s := seenCall{Method: call.Method, Endpoint: call.Endpoint, Attempts: call.Attempts, Repeats: call.Repeats}
	if call.Err != nil {
		s.Source = SourceOf(call.Err)
	}
	r.calls <- s
}

func TestRPCObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peers := newHandSession("a")
		seen := recorder{make(chan seenCall, 10)}
		client := handStub(t, newHandRouter(s, echoing("b")), func(c *Config) { c.Observer = seen })
		defer client.Close()
		call := goCall(client, "Get", "x")
		p := <-peers
		p.request(t)
		_ = p.Close()
		<-call
		if diff := cmp.Diff(seenCall{"Get", "b", 2, 1, ""}, <-seen.calls); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}
