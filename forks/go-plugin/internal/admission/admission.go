// SPDX-License-Identifier: MPL-2.0

// Package admission brings the connections of a network plugin to the point where
// sessions begin. It accepts them, bounds how many are on their way, speaks TLS, tells
// hosts that shake hands from those that do not, agrees with them on a version, a
// protocol and features, and answers or refuses them. It also answers the HTTP probes
// of a pod. Of what is served afterwards it knows nothing.
package admission

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/sniff"
	"github.com/hashicorp/go-plugin/printable"
)

// Config says what a plugin has, and what it wants of hosts.
type Config struct {
	// TLS is what connections begin with; nil: none.
	TLS *tls.Config
	// Timeout bounds the time from the start of a handshake, TLS included, to the
	// answer.
	Timeout time.Duration
	// Name is the plugin's name, for people.
	Name string
	// MaxMessage is how many bytes one message to the plugin may have; zero says
	// nothing of it.
	MaxMessage int
	// Served is what every host is offered, unless Choose is set.
	Served
	// Choose, if not nil, says what a host is offered. It is called in the goroutine of
	// the connection, and may block until ctx ends, which leaves time to tell the host
	// of an error. One that is a [hello.Refusal] reaches the host as it is.
	Choose func(ctx context.Context, asked Asked) (Served, error)
}

// Served is what a host is offered.
type Served struct {
	// Cookie is what a host must send. A zero one is not compared.
	Cookie hello.Cookie
	// Versions are the app versions of the plugin, the highest first.
	Versions []Version
	// Default is the version of hosts that do not shake hands, if it is served over
	// the protocol that they speak. It is the lowest that is, otherwise.
	Default int
	// For is what Choose has to say to whoever serves the host; see Candidate.
	For any
	// Partial says that the plugin serves more than the kinds that Answer lists.
	Partial bool
}

// Asked is what a host has said when Config.Choose is called.
type Asked struct {
	Request  *hello.Request  // nil: it has not shaken hands
	Protocol string          // of a host that has not: what it speaks
	Life     context.Context // ends with the connection
	Conn     net.Conn        // the host's, inside of TLS; only its addresses and TLS state are looked at
}

// maxPending is how many connections may be on their way through the
// handshake at once. Each costs a goroutine, a 4 KiB buffer, up to 16 KiB of
// hello and, with TLS, some 50 KiB while its handshake runs.
const maxPending = 1024

// Handshaker shakes hands for a plugin. Its methods may be called from any goroutine.
type Handshaker struct {
	cfg      Config
	instance string
	build    *hello.Build
	pending  *connBound
	hangUp   bool
}

// NewHandshaker returns the handshaker of this run of the plugin.
func NewHandshaker(cfg Config) *Handshaker {
	return &Handshaker{cfg: cfg, instance: newInstance(), build: buildInfo(), pending: newConnBound(maxPending)}
}

// HangUp makes it do as a plugin without the handshake does, and hang up, where a host has
// no version or protocol in common with the plugin. Such a host then goes on by what it
// was told of the plugin. It is called before Handshake.
func (h *Handshaker) HangUp() { h.hangUp = true }

// Candidate is a host with which an agreement was found, and that waits for an answer:
// the caller calls Answer or Refuse, once.
type Candidate struct {
	// Conn is what the session will be on: inside of TLS, past the hello.
	Conn net.Conn
	// Agreed is what the session will speak.
	Agreed hello.Agreement
	// Host is how the host names itself; empty: it does not.
	Host string

	// For is what Config.Choose has given.
	For any

	handshaker *Handshaker
	served     Served       // what it was offered
	saidHello  bool         // and waits for a line
	pending    *pendingConn // which leaves the bound once all is settled
	peer       net.Conn     // Conn, but for what was read already; refusals go there
}

// Handshake speaks with a connection up to the answer. Until then the peer is unknown,
// and gets a bounded share of time and memory: if there are too many such connections, an
// old one is closed, one that waits for its peer if there is such. A peer that caused the
// error was told so, as far as its protocol allows. The caller closes conn, in any case.
func (h *Handshaker) Handshake(ctx context.Context, conn net.Conn) (*Candidate, error) {
	c := &Candidate{handshaker: h, pending: h.pending.enter(conn)}
	_ = conn.SetDeadline(time.Now().Add(h.cfg.Timeout))
	if err := c.agree(ctx); err != nil {
		c.pending.leave()
		return nil, err
	}
	return c, nil
}

func (c *Candidate) agree(ctx context.Context) error {
	conn, r, proto, err := c.handshaker.secure(ctx, c.pending)
	if err != nil {
		return err
	}
	c.peer = conn
	if c.saidHello = proto == sniff.Hello; c.saidHello {
		err = c.negotiate(ctx, conn, r)
	} else {
		err = c.withoutHandshake(ctx, conn, r, proto)
	}
	session := conn
	if conn == net.Conn(c.pending) {
		session = c.pending.Conn // Without TLS it has the socket itself, and its fast paths.
	}
	c.Conn = sniff.NewConn(session, r) // which takes the reader's place
	if refusal := (*hello.Refusal)(nil); c.handshaker.hangUp && errors.As(err, &refusal) &&
		(refusal.Code == hello.CodeVersion || refusal.Code == hello.CodeProtocol) {
		return err
	}
	return refuse(conn, err)
}

func (c *Candidate) negotiate(ctx context.Context, conn net.Conn, r *bufio.Reader) error {
	request, err := hello.ReadRequest(r)
	if err != nil {
		return err
	}
	c.Host = request.Host
	if err := c.choose(ctx, Asked{Request: request, Life: ctx, Conn: conn}); err != nil {
		if refusal := (*hello.Refusal)(nil); !errors.As(err, &refusal) {
			err = busy(err)
		}
		return err
	}
	c.Agreed, err = hello.Negotiate(request, c.served.Cookie, c.served.offers(request.Protocols))
	return err
}

// choose settles what the host is offered.
func (c *Candidate) choose(ctx context.Context, asked Asked) (err error) {
	cfg := &c.handshaker.cfg
	if cfg.Choose == nil {
		c.served = cfg.Served
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout-cfg.Timeout/10)
	defer cancel()
	c.served, err = cfg.Choose(ctx, asked)
	c.For = c.served.For
	return err
}

// Keep takes the candidate out of the bound on connections that shake hands, so that a
// flood of others does not push it out. It is called as soon as the plugin has counted it
// among its hosts, which are bounded, too.
func (c *Candidate) Keep() { c.pending.leave() }

// Answer tells the host that it is served: its session begins on Conn then. kinds lists
// what the plugin serves in that session, and is only called for a host that has said
// hello.
func (c *Candidate) Answer(kinds func() []hello.Kind) error {
	c.pending.leave()
	if c.saidHello {
		if err := hello.WriteAnswer(c.Conn, c.handshaker.answer(c.Agreed, kinds(), c.served.Partial)); err != nil {
			return err
		}
	}
	return c.Conn.SetDeadline(time.Time{})
}

// maxRefusal bounds the words of the plugin's own error in a refusal, in bytes.
const maxRefusal = 512

// Refuse tells the host why it is not served: by a [hello.Refusal], or by an error that
// may pass. It returns what the host was told.
func (c *Candidate) Refuse(err error) error {
	defer c.pending.leave()
	if !c.saidHello {
		return err
	}
	if refusal := (*hello.Refusal)(nil); !errors.As(err, &refusal) {
		err = busy(err)
	}
	return refuse(c.peer, err)
}

// busy is a refusal that may pass, in the words of err.
func busy(err error) error {
	return &hello.Refusal{Code: hello.CodeBusy, Message: printable.Line(printable.Clip(err.Error(), maxRefusal))}
}

// refuse tells the peer of a refusal, if err is one, and returns err.
func refuse(conn net.Conn, err error) error {
	if refusal := (*hello.Refusal)(nil); errors.As(err, &refusal) {
		_ = hello.WriteRefusal(conn, refusal)
		lingerOn(conn)
	}
	return err
}
