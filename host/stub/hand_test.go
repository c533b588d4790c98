// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// handRouter is a Router whose endpoints come and go as a test says.
type handRouter struct {
	mu       sync.Mutex
	changed  chan struct{}
	ready    []*handSession
	next     int
	picked   []string
	outcomes []string // "endpoint: outcome"
	open     int      // leases that were not given back
}

func newHandRouter(ready ...*handSession) *handRouter {
	return &handRouter{changed: make(chan struct{}), ready: ready}
}

var errNobody = errors.New("nobody is ready: a test")

func (r *handRouter) Pick(ctx context.Context, protocol string, tried []string) (balancer.Lease, error) {
	for {
		r.mu.Lock()
		if s := r.pickLocked(tried); s != nil {
			r.picked = append(r.picked, s.name)
			r.open++
			r.mu.Unlock()
			return &handLease{router: r, session: s}, nil
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, errNobody
		}
	}
}

func (r *handRouter) pickLocked(tried []string) *handSession {
	for range r.ready {
		s := r.ready[r.next%len(r.ready)]
		r.next++
		if !slices.Contains(tried, s.name) {
			return s
		}
	}
	if len(r.ready) == 0 {
		return nil
	}
	return r.ready[r.next%len(r.ready)]
}

// set makes these sessions the ready ones.
func (r *handRouter) set(ready ...*handSession) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ready, r.next = ready, 0
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *handRouter) seen() (picked, outcomes []string, open int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.picked), slices.Clone(r.outcomes), r.open
}

type handLease struct {
	router  *handRouter
	session *handSession
	once    bool
}

func (l *handLease) Endpoint() string       { return l.session.name }
func (l *handLease) Session() any           { return l.session }
func (l *handLease) Ended() <-chan struct{} { return l.session.ended }

func (l *handLease) Done(o balancer.Outcome) {
	l.router.mu.Lock()
	defer l.router.mu.Unlock()
	if l.once {
		panic("a lease was given back twice")
	}
	l.once = true
	l.router.open--
	l.router.outcomes = append(l.router.outcomes, l.session.name+": "+o.String())
}

// channelBuffer is more than a channel holds for a connection that takes
// nothing.
const channelBuffer = 256 << 10

// handSession is a session whose streams a test plays the plugin on.
type handSession struct {
	name  string
	ended chan struct{}
	// open returns what OpenRPC makes a channel of, unless there is one.
	open    func() (net.Conn, error)
	channel plugin.RPCChannel
}

func (s *handSession) OpenRPC(string) (plugin.RPCChannel, error) {
	if s.channel != nil {
		return s.channel, nil
	}
	stream, err := s.open()
	if err != nil {
		return nil, err
	}
	return plugin.NewRPCChannel(stream), nil
}

// newHandSession returns a session and the plugin's ends of what it opens.
func newHandSession(name string) (*handSession, <-chan *handPeer) {
	peers := make(chan *handPeer, 10)
	return &handSession{name: name, ended: make(chan struct{}), open: func() (net.Conn, error) {
		host, plugin := net.Pipe()
		peers <- &handPeer{Conn: plugin, dec: gob.NewDecoder(plugin), enc: gob.NewEncoder(plugin)}
		return host, nil
	}}, peers
}

// handPeer is the plugin's end of one stream.
type handPeer struct {
	net.Conn
	dec *gob.Decoder
	enc *gob.Encoder
}

// request reads one request with a string as argument.
func (p *handPeer) request(t testing.TB) (seq uint64, method, arg string) {
	t.Helper()
	var header rpc.Request
	if err := errors.Join(p.dec.Decode(&header), p.dec.Decode(&arg)); err != nil {
		t.Errorf("read a request: %v", err)
	}
	return header.Seq, header.ServiceMethod, arg
}

// answer answers seq with any value.
func (p *handPeer) answer(t testing.TB, seq uint64, reply any) {
	t.Helper()
	if err := errors.Join(p.enc.Encode(&rpc.Response{Seq: seq}), p.enc.Encode(reply)); err != nil {
		t.Errorf("answer: %v", err)
	}
}

// echo answers every request with its argument until the stream ends.
func (p *handPeer) echo() {
	for {
		var header rpc.Request
		var arg string
		if p.dec.Decode(&header) != nil || p.dec.Decode(&arg) != nil {
			return
		}
		_ = p.enc.Encode(&rpc.Response{Seq: header.Seq})
		_ = p.enc.Encode(arg)
	}
}

// echoing returns a session that echoes.
func echoing(name string) *handSession {
	s, peers := newHandSession(name)
	open := s.open
	s.open = func() (net.Conn, error) {
		conn, err := open()
		go (<-peers).echo()
		return conn, err
	}
	return s
}

// methodOptions is a Methods of a map.
type methodOptions map[string]CallOptions

func (m methodOptions) Options(method string) CallOptions { return m[method] }

var testMethods = methodOptions{
	"Get":    {Idempotent: true},
	"Thrice": {Idempotent: true, Repeats: 3},
	"Never":  {Idempotent: true, Repeats: NoRepeats},
	"Add":    {},
	"Quick":  {Timeout: 2 * time.Second},
}

// handStub returns a stub on the router, and checks in the end that every
// lease came back. To be used in a synctest bubble.
func handStub(t *testing.T, router *handRouter, change func(*Config)) *rpc.Client {
	t.Helper()
	config := Config{Router: router, Methods: testMethods}
	if change != nil {
		change(&config)
	}
	return mustRPC(t, "kind", config).Client
}

func mustRPC(t testing.TB, kind string, config Config) *RPC {
	t.Helper()
	stub, err := NewRPC(kind, config)
	if err != nil {
		t.Fatal(err)
	}
	return stub
}

// goCall starts a call and returns what it comes to.
func goCall(c *rpc.Client, method, arg string) <-chan result {
	done := make(chan result, 1)
	go func() {
		var r result
		r.err = c.Call("Plugin."+method, arg, &r.reply)
		done <- r
	}()
	return done
}

type result struct {
	reply string
	err   error
}

func (r result) String() string {
	if r.err != nil {
		return fmt.Sprintf("error %q", r.err)
	}
	return fmt.Sprintf("%q", r.reply)
}

// deadEnd is a connection that takes nothing and gives nothing until closed.
func deadEnd() net.Conn {
	host, plugin := net.Pipe()
	_ = plugin // never read
	return host
}

var _ io.Closer = (*handPeer)(nil)
